// @ts-check
// All maps of a page on one canvas below their cells: with a canvas each, the browser makes each a layer of its own, and
// a click on another block waits for all of them to be made anew.

const CORNER = 4; // pixels of radius
const KEPT = 8; // sizes of maps

/**
 * @param {object} props
 * @param {HTMLElement} props.grid of cells, over which the sheet lies
 * @param {() => HTMLElement[]} props.cells where the maps go
 */
function render({ grid, cells }) {
  const canvas = h("canvas", { class: "ck-map-sheet", "aria-hidden": "true" });
  /** @type {{ x: number, y: number, width: number, height: number }[] | null} */
  let places = null; // of the cells, in pixels of the sheet
  let corners = new Path2D();
  /** @type {Map<string, CanvasRenderingContext2D | null>} */
  const strips = new Map(); // of maps one below the other, in their own size; kept, as they are dear to make
  /** @type {MapSheet | null} */
  let last = null;

  function measure() {
    if (!grid.clientWidth) return; // hidden
    const density = devicePixelRatio || 1;
    const [wide, high] = [grid.clientWidth, grid.clientHeight].map((side) => Math.round(side * density));
    if (canvas.width !== wide) canvas.width = wide;
    if (canvas.height !== high) canvas.height = high;
    corners = new Path2D();
    const { left, top } = grid.getBoundingClientRect();
    places = cells().map((cell) => {
      const box = cell.getBoundingClientRect();
      const [x, y, right, foot] = [box.left - left, box.top - top, box.right - left, box.bottom - top].map((at) => Math.round(at * density));
      const [width, height] = [right - x, foot - y];
      corners.rect(x, y, width, height);
      corners.roundRect(x, y, width, height, CORNER * density);
      return { x, y, width, height };
    });
  }

  /** @type {(width: number, height: number) => CanvasRenderingContext2D | null} */
  function strip(width, height) {
    const size = `${width} ${height}`;
    const known = strips.get(size);
    if (known) return known;
    if (strips.size >= KEPT) strips.delete([...strips.keys()][0]);
    const fresh = h("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
    strips.set(size, fresh);
    return fresh;
  }

  function draw() {
    if (!last) return;
    if (!places) measure(); // which lays the page out
    const { width, height, count, color } = last;
    const [pen, maps] = [canvas.getContext("2d", { willReadFrequently: true }), strip(width, height * count)];
    if (!pen || !maps || !places) return;
    const image = maps.createImageData(width, height * count);
    const numbers = new Uint32Array(image.data.buffer);
    const size = width * height;
    for (let i = 0; i < count; i++) color(i, numbers.subarray(i * size, (i + 1) * size));
    maps.putImageData(image, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    // Small maps show their cells; large ones are drawn smaller than they are, where leaving cells out would flicker.
    pen.imageSmoothingEnabled = width > 80;
    places.forEach((place, i) => pen.drawImage(maps.canvas, 0, i * height, width, height, place.x, place.y, place.width, place.height));
    pen.globalCompositeOperation = "destination-out";
    pen.fill(corners, "evenodd");
    pen.globalCompositeOperation = "source-over";
  }

  const observer = new ResizeObserver(() => ((places = null), draw()));
  observer.observe(grid);
  return {
    node: canvas,
    show(/** @type {MapSheet} */ maps) {
      const same = last && last.width * maps.height === maps.width * last.height && last.count === maps.count;
      if (!same) places = null; // other cells
      last = maps;
      draw();
    },
    close: () => observer.disconnect(),
  };
}

export default { render };
