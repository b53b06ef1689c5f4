/* Makes the page's camera a canvas with a number in each picture. window.mark is the stream's mark, window.painted the last number. */
(() => {
  "use strict";

  const FRAME_MS = 66;

  window.mark = 0;
  window.painted = -1;

  const canvas = document.createElement("canvas");
  canvas.width = 320;
  canvas.height = 240;

  function paint() {
    window.painted += 1;
    window.paintCode(canvas, window.mark, window.painted);
  }

  const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);

  navigator.mediaDevices.getUserMedia = async () => {
    const microphone = await getUserMedia({ audio: true });
    paint();
    setInterval(paint, FRAME_MS);
    const [video] = canvas.captureStream().getVideoTracks();
    // The SDK wants audio first.
    return new MediaStream([...microphone.getAudioTracks(), video]);
  };
})();
