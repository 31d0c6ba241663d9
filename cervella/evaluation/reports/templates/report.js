"use strict";
for (const chooser of document.querySelectorAll("select[data-list]")) {
  const rows = document.querySelectorAll("#" + chooser.dataset.list + " > details");
  const count = document.getElementById(chooser.dataset.list + "-count");
  const show = () => {
    let shown = 0;
    for (const row of rows) {
      row.hidden = chooser.value !== "" && !row.dataset.is.split(" ").includes(chooser.value);
      if (!row.hidden) shown += 1;
    }
    count.textContent = shown + " of " + rows.length;
  };
  chooser.addEventListener("change", show);
  chooser.closest("p").hidden = false;
  show();
}
