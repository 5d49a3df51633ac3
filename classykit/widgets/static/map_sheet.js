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
  const pads = new Map(); // where a map is painted in its own size; kept, as they are dear to make
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
  function pad(width, height) {
    const size = `${width} ${height}`;
    const known = pads.get(size);
    if (known) return known;
    if (pads.size >= KEPT) pads.delete([...pads.keys()][0]);
    const fresh = h("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
    pads.set(size, fresh);
    return fresh;
  }

  function draw() {
    if (!last) return;
    if (!places) measure(); // which lays the page out
    const { width, height, color } = last;
    const [pen, one] = [canvas.getContext("2d", { willReadFrequently: true }), pad(width, height)];
    if (!pen || !one || !places) return;
    const image = one.createImageData(width, height);
    const colours = new Uint32Array(image.data.buffer);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    // Small maps show their cells; large ones are drawn smaller than they are, where leaving cells out would flicker.
    pen.imageSmoothingEnabled = width > 80;
    places.forEach((place, i) => {
      color(i, colours);
      one.putImageData(image, 0, 0);
      pen.drawImage(one.canvas, place.x, place.y, place.width, place.height);
    });
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
