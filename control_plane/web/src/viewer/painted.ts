/**
 * Tell when there is a picture on a canvas: until the first one it is transparent.
 *
 * Neither noVNC nor IronRDP has an event for that.
 *
 * @param wanted whether anybody still wants to know.
 */
export function whenPainted(
  canvas: HTMLCanvasElement,
  wanted: () => boolean,
  tell: () => void,
): void {
  const probe = new OffscreenCanvas(8, 8).getContext("2d", { willReadFrequently: true });
  function look(): void {
    if (!wanted() || !probe) return;
    if (canvas.width > 0 && canvas.height > 0) {
      probe.clearRect(0, 0, 8, 8);
      probe.drawImage(canvas, 0, 0, 8, 8);
      const { data } = probe.getImageData(0, 0, 8, 8);
      if (data.some((value, index) => index % 4 === 3 && value > 0)) {
        tell();
        return;
      }
    }
    requestAnimationFrame(look);
  }
  look();
}
