// @ts-check
// The map taken by hand: the wheel with Ctrl or Cmd zooms where the pointer is, and what is too wide is dragged.

/** @param {{ scroller: HTMLElement, wide: () => boolean, zoomBy: (factor: number, pointer: number) => void }} props */
function render({ scroller, wide, zoomBy }) {
  const zoom = (/** @type {WheelEvent} */ event) => {
    if (!(event.ctrlKey || event.metaKey)) return;
    event.preventDefault(); // the browser would zoom the page
    zoomBy(Math.exp(-clamp(event.deltaY, -100, 100) / 300), event.clientX - scroller.getBoundingClientRect().left);
  };
  scroller.addEventListener("wheel", zoom, { passive: false });

  // A finger scrolls by itself.
  scroller.addEventListener("pointerdown", (event) => {
    if (event.button || event.pointerType === "touch" || !wide()) return;
    const [from, left] = [event.clientX, scroller.scrollLeft];
    const drag = (/** @type {PointerEvent} */ now) => {
      const held = scroller.hasPointerCapture(now.pointerId);
      if (!held && Math.abs(now.clientX - from) < 4) return; // a click
      if (!held) scroller.setPointerCapture(now.pointerId);
      scroller.scrollLeft = left + from - now.clientX;
    };
    const end = () => {
      scroller.removeEventListener("pointermove", drag);
      for (const type of ["pointerup", "pointercancel"]) removeEventListener(type, end);
    };
    scroller.addEventListener("pointermove", drag);
    for (const type of ["pointerup", "pointercancel"]) addEventListener(type, end);
  });
}

export default { render };
