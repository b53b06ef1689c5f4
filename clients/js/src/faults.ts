import type { Api } from "./api.js";
import type { FaultParameters } from "./generated/faults.js";

/** A fault that is switched on, as the API shows it. */
export type FaultView = Awaited<ReturnType<typeof listed>>[number];
/** The names of the faults that there are. */
export type FaultName = keyof FaultParameters;

/** Whom a fault is for and how often; see docs/faults.md. `ttl` is in seconds. */
export interface FaultOptions {
  id?: string;
  customerScope?: string;
  role?: "publisher" | "subscriber";
  app?: string;
  count?: number;
  probability?: number;
  seed?: number;
  ttl?: number;
}

const MATCH = ["id", "customerScope", "role", "app"];
const OTHERS = ["count", "probability", "seed", "ttl"];

/** What goes wrong on purpose. */
export class Faults {
  private readonly added: Fault[] = [];

  /** @internal */
  constructor(private readonly api: Api) {}

  /**
   * Switch a fault on: `faults.add("publish-denied", { id: "cam-1", count: 1 })`.
   *
   * The options say whom it is for and how often; all others are parameters of the fault.
   */
  async add<N extends FaultName>(
    name: N,
    options: FaultOptions & FaultParameters[N] = {} as FaultParameters[N],
  ): Promise<Fault> {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    const some = (names: readonly string[]) => Object.fromEntries(given.filter(([key]) => names.includes(key)));
    const parameters = Object.fromEntries(given.filter(([key]) => !MATCH.includes(key) && !OTHERS.includes(key)));
    const body = { fault: name, parameters, match: some(MATCH), ...some(OTHERS) } as never;
    const { id } = await this.api.post("/api/v1/faults", { body });
    const fault = new Fault(this.api, id, name);
    this.added.push(fault);
    return fault;
  }

  /** Return the faults that are on. */
  async list(): Promise<FaultView[]> {
    return listed(this.api);
  }

  /** Switch one off. */
  async remove(fault: Fault | string): Promise<void> {
    await this.api.delete("/api/v1/faults/{id}", { path: { id: typeof fault === "string" ? fault : fault.id } });
  }

  /** Switch off those that were switched on here. @internal */
  async removeAdded(): Promise<void> {
    await Promise.allSettled(this.added.splice(0).map((fault) => fault.remove()));
  }

  /** Switch all off. */
  async clear(): Promise<void> {
    await this.api.delete("/api/v1/faults");
  }
}

/** A fault that was switched on. */
export class Fault {
  /** @internal */
  constructor(
    private readonly api: Api,
    readonly id: string,
    readonly name: FaultName,
  ) {}

  /** Return how often it has acted, as far as the log of faults goes back. */
  async injected(): Promise<number> {
    const { log } = await this.api.get("/api/v1/faults/log");
    return log.filter((entry) => entry.id === this.id).length;
  }

  /** Switch it off. */
  async remove(): Promise<void> {
    await this.api.delete("/api/v1/faults/{id}", { path: { id: this.id } });
  }
}

async function listed(api: Api) {
  return (await api.get("/api/v1/faults")).faults;
}
