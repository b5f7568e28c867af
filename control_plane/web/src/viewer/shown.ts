/**
 * Notice when a canvas has shown something new, once for each picture of the browser's own.
 *
 * noVNC draws pictures on it and IronRDP puts pixels; neither tells. Only this canvas' own context
 * is looked at.
 *
 * @param tell gets the moment at which the picture is shown.
 */
export function whenShown(canvas: HTMLCanvasElement, tell: (at: number) => void): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  let waiting = false;
  function drew(): void {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      tell(performance.now());
    });
  }
  const draw = context.drawImage.bind(context) as (...all: unknown[]) => void;
  const put = context.putImageData.bind(context) as (...all: unknown[]) => void;
  context.drawImage = (...all: unknown[]) => {
    draw(...all);
    drew();
  };
  context.putImageData = (...all: unknown[]) => {
    put(...all);
    drew();
  };
}

/** Notice when somebody presses a key or a button on a canvas, before it is carried out. */
export function whenActed(canvas: HTMLCanvasElement, tell: (at: number) => void): void {
  for (const name of ["keydown", "mousedown"]) {
    canvas.addEventListener(name, () => tell(performance.now()), { capture: true });
  }
}
