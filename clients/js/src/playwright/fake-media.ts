import type { LaunchOptions } from "@playwright/test";

const CHROMIUM = [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  "--allow-loopback-in-peer-connection", // for a machine that has no other network
];
const FIREFOX = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
};

/** Give a browser a fake camera and microphone that no page needs to ask for. */
export function withFakeMedia(browser: string, options: LaunchOptions): LaunchOptions {
  if (browser === "chromium") return { ...options, args: [...CHROMIUM, ...(options.args ?? [])] };
  if (browser === "firefox") return { ...options, firefoxUserPrefs: { ...FIREFOX, ...options.firefoxUserPrefs } };
  return options;
}
