// The site's own code. It talks to the vendors' globals the way site owners do:
// without asking whether the vendor's script ever arrived.
(function () {
  'use strict';

  function cookie(name) {
    var found = document.cookie.split('; ').find(function (pair) {
      return pair.indexOf(name + '=') === 0;
    });
    return found ? decodeURIComponent(found.slice(name.length + 1)) : '';
  }

  function answer(form, text) {
    form.querySelector('.answer').textContent = text;
  }

  function trackLead(place) {
    fbq('track', 'Lead', { content_name: place });
    gtag('event', 'generate_lead', { method: place });
    dataLayer.push({ event: 'lead', place: place });
    lintrk('track', { conversion_id: 7654321 });
    hj('event', 'lead');
  }

  document.querySelectorAll('[data-lead]').forEach(function (el) {
    el.addEventListener('click', function () {
      trackLead(el.dataset.lead);
      document.documentElement.dataset.lead = el.dataset.lead;
    });
  });

  // The quotes of the home page come from a template, cloned here.
  var quotes = document.getElementById('quotes');
  var template = document.getElementById('quote-template');
  if (quotes && template) {
    window.alderfinch.quotes.forEach(function (quote) {
      var copy = template.content.cloneNode(true);
      copy.querySelector('p').textContent = quote.text;
      copy.querySelector('footer').textContent = quote.by;
      quotes.appendChild(copy);
    });
  }

  var yearly = document.getElementById('yearly');
  if (yearly) {
    yearly.addEventListener('change', function () {
      document.querySelectorAll('[data-monthly]').forEach(function (el) {
        el.textContent = yearly.checked ? el.dataset.yearly : el.dataset.monthly;
      });
      gtag('event', 'toggle_term', { yearly: yearly.checked });
    });
  }

  // Forms are answered here: the example has no server behind it. The sign-in
  // form needs its CSRF cookie, as a real one does.
  document.querySelectorAll('form[data-demo]').forEach(function (form) {
    form.addEventListener('submit', function (event) {
      event.preventDefault();
      if (form.elements.csrf) {
        form.elements.csrf.value = cookie('csrftoken');
        answer(form, form.elements.csrf.value ? 'Signed in (demo).' : 'Your session has expired. Please reload.');
        return;
      }
      trackLead('contact form');
      answer(form, 'Thank you. This is a demo, nothing was sent.');
    });
  });

  dataLayer.push({ event: 'page_ready', page: document.body.dataset.page });
  document.documentElement.dataset.ready = 'yes';
})();
