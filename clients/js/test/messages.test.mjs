// What a failed expectation says is the same in JavaScript and in Python; tests/unit/test_expectation_messages.py is the other half.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Expectations } from "../dist/esm/hooks/hooks.js";
import { HookLog } from "../dist/esm/hooks/log.js";

const file = process.env.MESSAGES ?? new URL("../../../tests/expectations/messages.json", import.meta.url);
const { now, life, cases } = JSON.parse(readFileSync(file, "utf8"));

/** A log of these events, in which nothing more comes: waiting takes no time. */
function logOf(events) {
  const source = {
    after: async (id) => events.map((event, index) => ({ id: index + 1, ...event })).filter((event) => event.id > id),
    more: async () => {},
  };
  return new HookLog(source);
}

for (const { name, call, what, steps, fields, after, timeout, during, events, message } of cases) {
  test(name, async (context) => {
    const log = logOf(events === "life" ? life : events);
    await log.update();
    const hooks = new Expectations(log, () => now);
    const options = {};
    if (timeout !== undefined) options.timeout = timeout * 1000;
    if (during !== undefined) options.during = during * 1000;
    if (after !== undefined) options.after = log.since(0)[after - 1];
    let passed = 0; // the time in the heading passes at once
    context.mock.method(performance, "now", () => (passed += 3_600_000));
    const expected = message.join("\n").replace(/«([^|»]*)\|[^»]*»/g, "$1");
    const calls = {
      expect: () => hooks.expect(what ?? {}, fields, options),
      order: () => hooks.expectOrder(steps, fields, options),
      none: () => hooks.none(what ?? {}, fields, options),
    };
    await assert.rejects(calls[call](), (error) => {
      assert.equal(error.message, expected);
      assert.match(error.stack, /messages\.test\.mjs/);
      return true;
    });
  });
}
