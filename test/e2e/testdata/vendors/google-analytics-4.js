// Stands in for the Google tag: two cookies, and a hit for each configuration
// and event in the data layer, those to come included.
(function () {
  var id = new URL(document.currentScript.src).searchParams.get('id') || 'G-NONE';
  document.cookie = '_ga=GA1.1.1122334455.1760000000; path=/; max-age=63072000';
  document.cookie = '_ga_' + id.slice(2) + '=GS2.1.s1760000000$o1$g0$t1760000000$j60$l0$h0; path=/; max-age=63072000';
  function hit(event) {
    fetch('https://region1.google-analytics.com/g/collect?v=2&tid=' + id + '&en=' + event, { method: 'POST', mode: 'no-cors', keepalive: true });
  }
  function read(args) {
    if (!args) return;
    if (args[0] === 'config') hit('page_view');
    if (args[0] === 'event') hit(args[1]);
  }
  var layer = window.dataLayer = window.dataLayer || [];
  Array.prototype.slice.call(layer).forEach(read);
  var push = layer.push;
  layer.push = function (args) {
    read(args);
    return push.apply(layer, arguments);
  };
})();
