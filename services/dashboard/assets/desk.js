// What the pages do in the browser by themselves. The server decides everything that counts.
(function () {
  "use strict";

  const ended = () => document.getElementById("session-ended");

  // A callback that answers 401: the page stays as it is, with all that was typed, and a dialogue leads to the login.
  const fetchFirst = window.fetch.bind(window);
  window.fetch = async function (resource, options) {
    const answer = await fetchFirst(resource, options);
    const url = typeof resource === "string" ? resource : resource.url;
    if (answer.status === 401 && url.includes("/_dash-") && ended() && !ended().open) {
      ended().showModal();
    }
    return answer;
  };

  document.addEventListener("click", function (event) {
    const target = event.target;
    if (!(target instanceof Element)) {
      return;
    }
    if (target.closest("#session-ended [data-close], #session-ended a")) {
      ended().close();
    }
    if (target.closest("[data-forget]")) {
      // A new form begins empty: what was typed into the last one is kept only while it may be needed.
      Object.keys(sessionStorage)
        .filter((key) => key.startsWith("_dash_persistence.apply-"))
        .forEach((key) => sessionStorage.removeItem(key));
    }
    if (target.closest("[data-reload]")) {
      window.location.reload();
    }
  });

  document.addEventListener("submit", function (event) {
    const place = event.target.querySelector("[data-here] input");
    if (place) {
      place.value = window.location.pathname + window.location.search;
    }
  });

  const typing = (element) =>
    element instanceof Element && element.closest("input, textarea, select, [contenteditable], [role=combobox], dialog");

  // J and K walk through the rows of a list, Enter opens one; a record's buttons name their key in data-key.
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) {
      return;
    }
    const key = event.key.toLowerCase();
    if (key === "/") {
      const field = document.querySelector("[data-autofocus]");
      if (field) {
        event.preventDefault();
        field.focus();
      }
      return;
    }
    if (key === "j" || key === "k") {
      const rows = [...document.querySelectorAll("#page tr.row")];
      if (rows.length) {
        event.preventDefault();
        const now = rows.findIndex((row) => row.classList.contains("current"));
        const next = Math.min(rows.length - 1, Math.max(0, now + (key === "j" ? 1 : -1)));
        rows.forEach((row) => row.classList.remove("current"));
        rows[next].classList.add("current");
        const link = rows[next].querySelector("a");
        if (link) {
          link.focus();
        }
      }
      return;
    }
    const button = document.querySelector('#page [data-key="' + CSS.escape(key) + '"]');
    if (button && !button.disabled) {
      event.preventDefault();
      button.click();
      button.focus();
    }
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.desk = {
    title: function (title) {
      if (title) {
        document.title = title + " · creditmesh";
        const field = document.querySelector("#page [data-autofocus]");
        if (field && !field.value) {
          field.focus();
        }
      }
      return "";
    },
    remember: function (query) {
      if (query && window.location.pathname + query.url !== window.location.pathname + window.location.search) {
        window.history.replaceState(window.history.state, "", window.location.pathname + query.url);
      }
      return "";
    },
  };
})();
