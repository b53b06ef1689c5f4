import { defineConfig } from "@playwright/test";
import type { StreamManagerWorkerOptions } from "stream-manager-proxy/playwright";

const expectTimeout = 20_000;

export default defineConfig<object, StreamManagerWorkerOptions>({
  fullyParallel: true,
  workers: 2,
  timeout: 60_000,
  projects: [
    { name: "own", use: { streamManagerOptions: { expectTimeout, authBackEnd: true } } },
    {
      name: "shared",
      grepInvert: /back end/,
      use: { streamManagerUrl: process.env.SHARED, streamManagerOptions: { expectTimeout } },
    },
  ],
});
