// @ts-check
// Arrays that come as bytes, and how they are painted; in front of all parts, after common.js.

// A number in three significant digits, with a real minus sign.
function figure(/** @type {number} */ value) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

// The bytes trait as numbers; an odd offset needs a copy.
function words(/** @type {DataView | null} */ pixels) {
  if (!pixels) return new Uint16Array(0);
  const { buffer, byteOffset: start, byteLength } = pixels;
  const count = Math.floor(byteLength / 2);
  return start % 2 ? new Uint16Array(buffer.slice(start, start + count * 2)) : new Uint16Array(buffer, start, count);
}

/**
 * Arrays as classykit/exploring/pixels.py packs them: each a whole number a value, 0 for its low, 65535 for its high.
 * @param {Packed[]} arrays
 * @param {DataView | null} pixels
 * @returns {Unpacked[] | null} null while state and bytes do not belong together yet
 */
function unpack(arrays, pixels) {
  const numbers = words(pixels);
  const last = arrays[arrays.length - 1];
  if (last && last.start + sizeOf(last.shape) !== numbers.length) return null;
  return arrays.map(({ start, shape, low, high }) => {
    const own = numbers.subarray(start, start + sizeOf(shape));
    return { shape, low, high, numbers: own, at: (index) => low + (own[index] / 65535) * (high - low) };
  });
}

const sizeOf = (/** @type {number[]} */ shape) => shape.reduce((all, n) => all * n, 1);

/** @type {(text: string) => [number, number, number]} */
function rgb(text) {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!pen) return [0, 0, 0];
  pen.fillStyle = text.trim() || "#000";
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b] = pen.getImageData(0, 0, 1, 1).data;
  return [r, g, b];
}

/**
 * Colours as the theme of the page has them. A token by itself may say light-dark(…): what comes of it, a node knows.
 * @param {Element} el
 * @param {string[]} names
 */
function tokens(el, ...names) {
  const node = h("span", { hidden: true });
  el.append(node);
  const found = names.map((name) => {
    node.style.color = `var(${name})`;
    return rgb(getComputedStyle(node).color);
  });
  node.remove();
  return found;
}

/**
 * Blue below zero, paper at zero, orange above, as the theme of the page has them; 256 colours as ImageData wants them.
 * @param {Element} el
 */
function signedColours(el) {
  const [below, zero, above] = tokens(el, "--ck-ramp-high", "--ck-panel", "--ck-accent");
  const colours = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = (i - 127.5) / 127.5;
    const share = Math.abs(at) ** 0.85;
    const end = at < 0 ? below : above;
    const [r, g, b] = zero.map((from, c) => Math.round(from + share * (end[c] - from)));
    colours[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return colours;
}

/**
 * One cell a value; `share(i)` is the value's place among the colours, 0 to 1.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 * @param {Uint32Array} colours
 * @param {(index: number) => number} share
 */
function paintCells(canvas, width, height, colours, share) {
  const context = canvas.getContext("2d", { willReadFrequently: true }); // a layer of its own would cost more
  if (!context || !width || !height) return;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const image = context.createImageData(width, height);
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < out.length; i++) out[i] = colours[clamp(Math.round(share(i) * 255), 0, 255)];
  context.putImageData(image, 0, 0);
}

/** @type {(array: Unpacked) => (index: number) => number} */
function signedShare(array) {
  const most = Math.max(Math.abs(array.low), Math.abs(array.high)) || 1;
  return (index) => 0.5 + array.at(index) / (2 * most);
}

/**
 * Calls `act` when the page turns light or dark: what is painted does not follow by itself. Returns what ends that.
 * @param {() => void} act
 */
function onTheme(act) {
  const reader = matchMedia("(prefers-color-scheme: dark)");
  const notebook = new MutationObserver(act);
  reader.addEventListener("change", act);
  notebook.observe(document.body, { attributes: true, attributeFilter: ["class", "data-jp-theme-light"] });
  return () => {
    reader.removeEventListener("change", act);
    notebook.disconnect();
  };
}
