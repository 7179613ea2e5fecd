// Draws each picture whose data stands in the page into the element of the same name.
for (const data of document.querySelectorAll("script[data-picture]")) {
  const place = document.getElementById(data.dataset.picture);
  if (place) {
    const { data: traces, layout } = JSON.parse(data.textContent);
    Plotly.newPlot(place, traces, layout, { responsive: true, displaylogo: false });
  }
}
