// Stands in for Hotjar: two cookies, a second script, a beacon.
(function () {
  if (!window._hjSettings) return;
  var id = window._hjSettings.hjid;
  document.cookie = '_hjSessionUser_' + id + '=eyJpZCI6IjEifQ==; path=/; max-age=31536000; SameSite=Lax';
  document.cookie = '_hjSession_' + id + '=eyJpZCI6IjIifQ==; path=/; max-age=1800; SameSite=Lax';
  sessionStorage.setItem('_hjViewportId', '1');
  var s = document.createElement('script');
  s.async = true;
  s.src = 'https://script.hotjar.com/modules.0a1b2c3d.js';
  document.head.appendChild(s);
  new Image().src = 'https://vc.hotjar.io/sessions/' + id + '?s=0.25';
})();
