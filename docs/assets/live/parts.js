/** What the figure consists of. */
export const PARTS = `
<div class="live-stage">
  <div>
    <video controls muted loop playsinline width="240" height="240" aria-label="The video"></video>
    <p class="live-buttons">
      <button type="button" data-example>Example</button>
      <label>Your video<input type="file" accept="video/*"></label>
      <button type="button" data-camera>Camera</button>
    </p>
  </div>
  <table class="live-answer"><caption>The model is loading.</caption><tbody></tbody></table>
</div>
<p class="live-note">Computed in this page: no picture leaves your machine. Play, and stop anywhere;
or drop a video here. <span role="alert"></span></p>
<div class="live-controls">
  <label>Show <select data-step></select></label>
  <label>Head <select data-head></select></label>
  <button type="button" data-class-token>class token</button>
</div>
<div class="live-strip" role="toolbar" aria-label="Patches of the clip; arrow keys move"></div>
<p class="live-words" aria-live="polite"></p>
<fieldset class="live-controls"><legend>What changes the answer?</legend>
  <label>Frames <select data-order>
    <option value="">as filmed</option>
    <option value="shuffled">shuffled</option>
    <option value="backwards">backwards</option>
  </select></label>
  <label><input type="checkbox" data-time> <code>time_embed</code> zeroed</label>
  <label><input type="checkbox" data-fc> <code>temporal_fc</code> off</label>
  <label>Head off <select data-off><option value="">none</option></select></label>
</fieldset>`;

/** Fill the lists of steps and heads for a model. */
export function fillLists(find, { blocks, heads, steps }, rollout, mean) {
  const numbers = (count) => Array.from({ length: count }, (_, i) => i);
  const places = numbers(blocks).flatMap((block) =>
    steps.map((step) => [`${block}.${step}`, `block ${block}, ${step}`]));
  const fill = (name, pairs) =>
    find(`[data-${name}]`).append(...pairs.map(([value, text]) => new Option(text, value)));
  fill("step", places.map(([value, text]) => [value, `${text} step`]));
  fill("step", [[`all.${rollout}`, "all blocks: rollout of the class token"]]);
  fill("head", [[mean, "mean of all"], ...numbers(heads).map((head) => [head, head])]);
  fill("off", places.flatMap(([value, text]) =>
    numbers(heads).map((head) => [`${value}.${head}`, `${text}, head ${head}`])));
}
