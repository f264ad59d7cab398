// Package api serves the visitor's side of consent: a preferences page and the
// endpoint that takes a choice. Both work without JavaScript. Facts about the
// host (which scheme and host the visitor's browser sees, which cookies a policy
// knows) are passed in; the package reads no proxy header and knows no policy.
//
// A choice is only ever taken from a POST of the site itself. Nothing served here
// may be cached, framed, indexed, or runs a script.
package api
