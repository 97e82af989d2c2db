// E_c against E_th of one subchannel, by time: uPlot, in the page's colours.

import uPlot from "../vendor/uplot/uPlot.esm.js";

import { ink } from "./colours.js";
import { h } from "./dom.js";
import { day, isUtc, timeOfDay } from "./times.js";
import { decibels } from "./units.js";

const HEIGHT = 210;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const NAMES = ["E_c, energy", "E_th, threshold", "noise floor"];

/** A chart in `box`; returns {draw(series, from_s, to_s), repaint()}. series: [times_s, E_c, E_th, noise], in dBFS. */
export function levelChart(box) {
  let chart = null;
  let given = null;

  function make() {
    chart?.destroy();
    box.replaceChildren();
    chart = new uPlot(options(box.clientWidth || 320), given?.series ?? [[], [], [], []], box);
    chart.root.setAttribute("aria-hidden", "true");
  }

  function draw(series, from_s, to_s) {
    const first = given === null;
    given = { series, from_s, to_s };
    if (!chart || first) make();
    if (box.clientWidth && Math.abs(chart.width - box.clientWidth) > 1) {
      chart.setSize({ width: box.clientWidth, height: HEIGHT });
    }
    chart.setData(series, false);
    const [low, high] = levels(series);
    chart.batch(() => {
      chart.setScale("x", { min: from_s, max: to_s });
      chart.setScale("y", { min: low, max: high });
    });
    // Without a cursor on the chart the legend tells the newest levels.
    const newest = series[1].findLastIndex((value) => value !== null);
    if (chart.cursor.left < 0 && newest >= 0) chart.setLegend({ idx: newest });
  }

  return {
    draw,
    repaint: () => {
      if (!chart) return;
      make();
      draw(given.series, given.from_s, given.to_s);
    },
  };
}

function levels(series) {
  const values = series
    .slice(1)
    .flat()
    .filter((value) => value !== null);
  if (!values.length) return [-100, -40];
  return [Math.floor((Math.min(...values) - 1) / 5) * 5, Math.ceil((Math.max(...values) + 1) / 5) * 5];
}

function options(width) {
  const axis = {
    stroke: ink("muted"),
    grid: { stroke: ink("grid"), width: 1 },
    ticks: { stroke: ink("grid"), width: 1 },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
  };
  const level = (self, value) => decibels(value, "dBFS");
  return {
    width,
    height: HEIGHT,
    tzDate: (at_s) => (isUtc() ? uPlot.tzDate(new Date(at_s * 1e3), "Etc/UTC") : new Date(at_s * 1e3)),
    cursor: { y: false, points: { size: 6 } },
    legend: { live: true },
    scales: { x: { time: true, auto: false }, y: { auto: false } },
    axes: [
      { ...axis, incrs: STEPS_S, values: clockTimes, space: 58, size: 30 },
      { ...axis, size: 52, values: (self, splits) => splits.map((value) => `${value}`.replace("-", "−")) },
    ],
    series: [
      { label: "time", value: (self, at_s) => (at_s === null ? "–" : `${day(at_s)} ${timeOfDay(at_s)}`) },
      {
        label: NAMES[0],
        stroke: ink("series-1"),
        fill: ink("series-1-soft"),
        fillTo: (self) => self.scales.y.min,
        width: 1.6,
        value: level,
        points: { show: false },
      },
      { label: NAMES[1], stroke: ink("series-2"), width: 1.8, dash: [7, 4], value: level, points: { show: false } },
      { label: NAMES[2], stroke: ink("series-3"), width: 1.2, dash: [2, 4], value: level, points: { show: false } },
    ],
  };
}

function clockTimes(self, splits, axis, space, step_s) {
  return splits.map((at_s) => (step_s >= 60 ? timeOfDay(at_s).slice(0, 5) : timeOfDay(at_s)));
}

/** The chart in words, for those who cannot see it. */
export function chartSentence([, energy, threshold]) {
  const known = energy.filter((value) => value !== null);
  if (!known.length) return "No levels are recorded for this time.";
  const over = energy.filter((value, i) => value !== null && threshold[i] !== null && value >= threshold[i]).length;
  const last = threshold.findLast((value) => value !== null);
  return (
    `Energy between ${decibels(Math.min(...known), "dBFS")} and ${decibels(Math.max(...known), "dBFS")}, ` +
    `at or above its threshold (now ${decibels(last, "dBFS")}) in ${Math.round((100 * over) / known.length)} % of the time shown.`
  );
}

/** The figure that holds a chart: {figure, box, caption}. */
export function chartFigure() {
  const box = h("div", { class: "chart" });
  const caption = h("figcaption", { class: "visually-hidden" });
  return { figure: h("figure", { class: "chart-figure" }, box, caption), box, caption };
}
