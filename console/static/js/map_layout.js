// The rows of the channel map: sub-bands in order of frequency, each with its subchannels.

const BAND_HEIGHT = 30;
const LORA_HEIGHT = 28;
const SIGFOX_HEIGHT = 24;

/**
 * Rows from top to bottom: {kind: "band", band, y, height} and {kind: "cell", cell, y, height}.
 * A sub-band is shown when it holds subchannels or carries the downlink.
 */
export function layOut(site) {
  const rows = [];
  let y = 0;
  const add = (row, height) => {
    rows.push({ ...row, y, height });
    y += height;
  };
  const bands = [...site.sub_bands].sort((a, b) => a.low_hz - b.low_hz);
  const cellsOf = (label) => site.subchannels.filter((cell) => cell.sub_band === label).sort(inOrder);
  for (const band of bands) {
    const cells = cellsOf(band.label);
    if (!cells.length && band.direction !== "downlink") continue;
    add({ kind: "band", band }, BAND_HEIGHT);
    for (const cell of cells) add({ kind: "cell", cell }, cell.technology === "sigfox" ? SIGFOX_HEIGHT : LORA_HEIGHT);
  }
  const outside = cellsOf(null);
  if (outside.length) add({ kind: "band", band: null }, BAND_HEIGHT);
  for (const cell of outside) add({ kind: "cell", cell }, LORA_HEIGHT);
  return { rows, height: y };
}

function inOrder(a, b) {
  if (a.technology !== b.technology) return a.technology === "lora" ? -1 : 1;
  return a.subchannel_hz - b.subchannel_hz;
}
