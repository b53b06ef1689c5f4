/* A picture and a tone for whoever has no camera: bars, a clock, and a flash that comes with a beep each second. */

const WIDTH = 640;
const HEIGHT = 360;
const FRAME_MS = 40;
const BARS = ["#c9ced6", "#c2b83a", "#3ab0b8", "#3aa657", "#a84aa8", "#b8433a", "#3a55b8"];

function drawer(canvas, label) {
  const context = canvas.getContext("2d", { alpha: false });
  let frame = 0;
  return () => {
    const now = new Date();
    const second = now.getMilliseconds() / 1000;
    BARS.forEach((color, index) => {
      context.fillStyle = color;
      context.fillRect((index * WIDTH) / BARS.length, 0, WIDTH / BARS.length + 1, HEIGHT);
    });
    context.fillStyle = "#10151c";
    context.fillRect(0, HEIGHT * 0.62, WIDTH, HEIGHT * 0.38);
    context.fillStyle = second < 0.1 ? "#ffffff" : "#39414d";
    context.beginPath();
    context.arc(WIDTH - 60, HEIGHT * 0.81, 34, 0, 2 * Math.PI);
    context.fill();
    context.strokeStyle = "#6cb2ff";
    context.lineWidth = 8;
    context.beginPath();
    context.arc(WIDTH - 60, HEIGHT * 0.81, 44, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * second);
    context.stroke();
    context.fillStyle = "#ffffff";
    context.font = "600 44px ui-monospace, Menlo, Consolas, monospace";
    context.fillText(now.toISOString().slice(11, 21), 28, HEIGHT * 0.78);
    context.font = "22px system-ui, sans-serif";
    context.fillText(`${label}  ·  frame ${(frame += 1)}`.slice(0, 52), 28, HEIGHT * 0.91);
  };
}

/** Start the pattern; returns `{ media, stop }`. Needs a click before, or browsers keep the tone silent. */
export async function startPattern(label) {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const draw = drawer(canvas, label);
  draw();
  const timer = setInterval(draw, FRAME_MS);
  const audio = new AudioContext();
  const tone = new OscillatorNode(audio, { frequency: 440 });
  const volume = new GainNode(audio, { gain: 0.05 });
  const beep = setInterval(() => {
    const level = new Date().getMilliseconds() < 100 ? 0.3 : 0.05;
    volume.gain.setTargetAtTime(level, audio.currentTime, 0.01);
  }, FRAME_MS);
  const out = new MediaStreamAudioDestinationNode(audio);
  tone.connect(volume).connect(out);
  tone.start();
  const media = new MediaStream([
    ...canvas.captureStream(1000 / FRAME_MS).getVideoTracks(),
    ...out.stream.getAudioTracks(),
  ]);
  const stop = () => {
    clearInterval(timer);
    clearInterval(beep);
    media.getTracks().forEach((track) => track.stop());
    audio.close();
  };
  return { media, stop };
}
