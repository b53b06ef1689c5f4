import { defineConfig } from "@playwright/test";
import type { StreamManagerWorkerOptions } from "stream-manager-proxy/playwright";

const port = process.env.PORT ?? "4173";

export default defineConfig<object, StreamManagerWorkerOptions>({
  // Your own `npm run dev` goes here. The page has the vendor's red5pro-sdk.min.js beside it.
  webServer: {
    command: `python3 -m http.server ${port} --bind 127.0.0.1 --directory ../page`,
    url: `http://127.0.0.1:${port}/index.html`,
  },
  use: {
    baseURL: `http://localhost:${port}`,
    launchOptions: { executablePath: process.env.CHROMIUM },
    streamManagerOptions: { expectTimeout: 15_000 },
  },
  expect: { timeout: 15_000 },
});
