// Stands in for a container that holds one analytics tag. A container is one
// unit: what it loads is its owner's choice, not the page's.
(function () {
  var id = new URL(document.currentScript.src).searchParams.get('id');
  new Image().src = 'https://www.googletagmanager.com/a?id=' + id + '&v=3&t=t';
  var push = window.dataLayer.push;
  window.dataLayer.push = function (entry) {
    if (entry && entry.event === 'lead') {
      new Image().src = 'https://www.googletagmanager.com/a?id=' + id + '&e=lead';
    }
    return push.apply(window.dataLayer, arguments);
  };
})();
