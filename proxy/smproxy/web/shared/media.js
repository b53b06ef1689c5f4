/* What is published: camera and microphone, or the pattern when there are none. */

import { startPattern } from "./pattern.js";

const REFUSALS = {
  NotAllowedError: "The camera was not allowed",
  NotFoundError: "There is no camera or microphone",
  NotReadableError: "The camera is in use by another program",
};

/** Open the source that was asked for; returns `{ media, stop, note }`, the note saying what was done instead. */
export async function openSource(wanted, label) {
  if (wanted === "pattern") return { ...(await startPattern(label)), note: "" };
  if (!navigator.mediaDevices) {
    const note =
      "Browsers give the camera only to https pages and to localhost, so a test pattern is published instead.";
    return { ...(await startPattern(label)), note };
  }
  try {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
    return { media, stop: () => media.getTracks().forEach((track) => track.stop()), note: "" };
  } catch (error) {
    const why = REFUSALS[error.name] ?? `The camera cannot be opened (${error.message})`;
    return { ...(await startPattern(label)), note: `${why}, so a test pattern is published instead.` };
  }
}
