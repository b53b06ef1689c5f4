import { test as base, expect } from "@playwright/test";
import type { AuthBackEnd } from "../auth-back-end.js";
import type { Faults } from "../faults.js";
import type { Hooks } from "../hooks/hooks.js";
import { type StartOptions, StreamManager } from "../stream-manager.js";
import { attachWhatHappened } from "./attachments.js";
import { withFakeMedia } from "./fake-media.js";

/** What a project's `use` may set. */
export interface StreamManagerWorkerOptions {
  /** How the stream manager of each worker is started: the options of `smproxy serve` in camel case. */
  streamManagerOptions: StartOptions;
  /** Use the one that runs at this URL; tests share it, so they look at their own `customerScope` only, and it is not reset. */
  streamManagerUrl: string | undefined;
  /** Whether browsers have a fake camera and microphone; default `true`. */
  fakeMedia: boolean;
}

/** What a test may ask for. */
export interface StreamManagerFixtures {
  /** The stream manager of this worker, which was reset before the test. */
  streamManager: StreamManager;
  /** Expectations about the hooks since the test began. */
  hooks: Hooks;
  /** What goes wrong on purpose; all is off after the test. */
  faults: Faults;
  /** The back end that the stream manager asks who may publish; it needs `streamManagerOptions: { authBackEnd: true }`. */
  auth: AuthBackEnd;
  /** Publishes a stream: `await publisher("cam-1", { recording: true })`. */
  publisher: StreamManager["publisher"];
  /** Watches a stream: `await subscriber("cam-1")`. */
  subscriber: StreamManager["subscriber"];
  /** A customer scope of this test's own, for its pages and clients. */
  customerScope: string;
}

interface WorkerFixtures {
  /** The one that was started for this worker. */
  startedStreamManager: StreamManager | undefined;
}

/** Milliseconds that expectations wait for hooks, as long as Playwright's own; and that receivers have to take the last hooks of a test. */
const EXPECT = 5_000;
const RESET = 1_000;

export const test = base.extend<StreamManagerFixtures, StreamManagerWorkerOptions & WorkerFixtures>({
  streamManagerOptions: [{}, { scope: "worker", option: true }],
  streamManagerUrl: [undefined, { scope: "worker", option: true }],
  fakeMedia: [true, { scope: "worker", option: true }],

  launchOptions: [
    async ({ launchOptions, browserName, fakeMedia }, use) => {
      await use(fakeMedia ? withFakeMedia(browserName, launchOptions) : launchOptions);
    },
    { scope: "worker" },
  ],

  startedStreamManager: [
    async ({ streamManagerOptions, streamManagerUrl }, use) => {
      const started =
        streamManagerUrl === undefined
          ? await StreamManager.start({ capture: true, expectTimeout: EXPECT, ...streamManagerOptions })
          : undefined;
      await use(started);
      await started?.stop();
    },
    { scope: "worker" },
  ],

  customerScope: async ({}, use, testInfo) => {
    await use(`test-${testInfo.testId.slice(-12)}-${testInfo.repeatEachIndex}-${testInfo.retry}`);
  },

  streamManager: async ({ startedStreamManager, streamManagerUrl, streamManagerOptions, customerScope }, use, testInfo) => {
    await startedStreamManager?.reset({ timeout: RESET });
    const manager = startedStreamManager ?? (await connected(streamManagerUrl, streamManagerOptions, customerScope));
    const began = { at: Date.now(), logEnd: manager.logEnd };
    await use(manager);
    if (testInfo.status !== testInfo.expectedStatus) {
      const only = startedStreamManager === undefined ? { customerScope } : {};
      await attachWhatHappened(manager, testInfo, began, only);
    }
    await manager.clear();
  },

  hooks: async ({ streamManager }, use) => use(streamManager.hooks),
  faults: async ({ streamManager }, use) => use(streamManager.faults),
  publisher: async ({ streamManager, customerScope }, use) => {
    await use((name, options) => streamManager.publisher(name, { customerScope, ...options }));
  },
  subscriber: async ({ streamManager, customerScope }, use) => {
    await use((name, options) => streamManager.subscriber(name, { customerScope, ...options }));
  },
  auth: async ({ streamManager }, use) => use(streamManager.auth),
});

/** Use one that runs elsewhere, as it was said how to start one. */
async function connected(url: string | undefined, options: StartOptions, customerScope: string): Promise<StreamManager> {
  const { adminToken, expectTimeout = EXPECT } = options;
  return StreamManager.connect(url, {
    customerScope,
    expectTimeout,
    ...(adminToken === undefined ? {} : { token: String(adminToken) }),
  });
}

export { expect };
