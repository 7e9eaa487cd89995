// Writes numbers by the same templates as `style.NumberFormat`; put in front of each widget's own module.

const TEMPLATE = /^([^{}]*)\{:(,?)\.(\d)([fg%])\}([^{}]*)$/s;

function digitsOf(value, digits, kind, useGrouping) {
  if (!Number.isFinite(value)) return "∞";
  const options = kind === "g" ? { maximumSignificantDigits: Math.max(digits, 1) }
    : { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return (kind === "%" ? value * 100 : value).toLocaleString("en-US", { useGrouping, ...options })
    + (kind === "%" ? "%" : "");
}

function signed(value, before, digits, after) {
  if (Number.isNaN(value)) return "–";
  return (value < 0 && /[1-9∞]/.test(digits) ? "-" : "") + before + digits + after;
}

// formatNumber("${:,.2f}", 1234.5) -> "$1,234.50"
function formatNumber(template, value) {
  const [, before, comma, digits, kind, after] = TEMPLATE.exec(template);
  return signed(value, before, digitsOf(Math.abs(value), Number(digits), kind, comma === ","), after);
}

// As many decimals as the tick step needs; the unit behind the number stands in the axis label instead.
function formatTick(template, value, step) {
  const [, before, , , kind] = TEMPLATE.exec(template);
  const shown = step * (kind === "%" ? 100 : 1);
  let decimals = 0;
  while (decimals < 9 && Math.abs(Number(shown.toFixed(decimals)) - shown) >= 1e-6 * shown) decimals += 1;
  return signed(value, before, digitsOf(Math.abs(value), decimals, kind === "%" ? "%" : "f", true), "");
}
