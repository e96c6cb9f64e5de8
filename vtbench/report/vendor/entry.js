export { areaY, dot, frame, lineY, plot, pointer, ruleX, tip } from "@observablehq/plot";
