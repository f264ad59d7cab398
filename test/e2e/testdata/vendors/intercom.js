// Stands in for the Intercom messenger.
(function () {
  if (!window.intercomSettings) return;
  var app = window.intercomSettings.app_id;
  document.cookie = 'intercom-id-' + app + '=aaaa-bbbb; path=/; max-age=23328000; SameSite=Lax';
  document.cookie = 'intercom-session-' + app + '=; path=/; max-age=604800; SameSite=Lax';
  localStorage.setItem('intercom.intercom-state-' + app, '{}');
  var s = document.createElement('script');
  s.src = 'https://js.intercomcdn.com/frame.0a1b2c3d.js';
  document.head.appendChild(s);
  fetch('https://api-iam.intercom.io/messenger/web/ping', { method: 'POST', mode: 'no-cors' });
})();
