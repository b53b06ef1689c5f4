/* The number in the picture, as proxy.testing paints and reads it: 8 by 6 squares, white is 1. */
(() => {
  "use strict";

  const COLUMNS = 8;
  const ROWS = 6;

  /* CRC-16/CCITT, started with 0xFFFF. */
  function check(bytes) {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
    }
    return crc;
  }

  function bytesOf(mark, number) {
    const said = [mark, (number >> 16) & 255, (number >> 8) & 255, number & 255];
    const crc = check(said);
    return [...said, crc >> 8, crc & 255];
  }

  window.paintCode = (canvas, mark, number) => {
    const context = canvas.getContext("2d");
    const bytes = bytesOf(mark, number);
    for (let square = 0; square < COLUMNS * ROWS; square++) {
      const white = (bytes[square >> 3] >> (7 - (square & 7))) & 1;
      context.fillStyle = white ? "white" : "black";
      const width = canvas.width / COLUMNS;
      const height = canvas.height / ROWS;
      context.fillRect((square % COLUMNS) * width, Math.floor(square / COLUMNS) * height, width, height);
    }
  };

  const scratch = document.createElement("canvas");
  scratch.width = COLUMNS * 8;
  scratch.height = ROWS * 8;

  /* Returns {mark, number} of what a video shows now, or null. */
  window.readCode = (video) => {
    const context = scratch.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0, scratch.width, scratch.height);
    const { data } = context.getImageData(0, 0, scratch.width, scratch.height);
    const bytes = [0, 0, 0, 0, 0, 0];
    for (let square = 0; square < COLUMNS * ROWS; square++) {
      const left = (square % COLUMNS) * 8 + 4;
      const top = Math.floor(square / COLUMNS) * 8 + 4;
      const green = data[(top * scratch.width + left) * 4 + 1];
      if (green > 127) bytes[square >> 3] |= 128 >> (square & 7);
    }
    if (check(bytes.slice(0, 4)) !== bytes[4] * 256 + bytes[5]) return null;
    return { mark: bytes[0], number: bytes[1] * 65536 + bytes[2] * 256 + bytes[3] };
  };
})();
