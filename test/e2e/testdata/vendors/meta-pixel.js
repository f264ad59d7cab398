// Stands in for the Meta Pixel: a browser id, one image per queued event, and
// every later call sent at once.
(function () {
  if (!window.fbq) return;
  if (document.cookie.indexOf('_fbp=') < 0) {
    document.cookie = '_fbp=fb.1.1760000000000.1234567890; path=/; max-age=7776000; SameSite=Lax';
  }
  var id = '';
  function send(args) {
    if (args[0] === 'init') { id = args[1]; return; }
    if (args[0] !== 'track' && args[0] !== 'trackCustom') return;
    new Image().src = 'https://www.facebook.com/tr/?id=' + id + '&ev=' + encodeURIComponent(args[1]) + '&dl=' + encodeURIComponent(location.href);
  }
  window.fbq.callMethod = function () { send(arguments); };
  (window.fbq.queue || []).splice(0).forEach(send);
  localStorage.setItem('lastExternalReferrer', 'empty');
})();
