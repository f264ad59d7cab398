package api

import (
	"net/http"
	"strings"
)

// A site is the address of the site as the visitor's browser sees it.
type site struct {
	secure bool   // the scheme is https
	host   string // as given, for display
	name   string // host name: lower case, without port, brackets and final dot
	origin string // as browsers write it in an Origin field (RFC 6454, section 6.2)
}

// direct is the address of a server that no proxy hides.
func direct(r *http.Request) (scheme, host string) {
	if r.TLS != nil {
		return "https", r.Host
	}
	return "http", r.Host
}

func (h *Handler) site(r *http.Request) site {
	scheme, host := h.o.External(r)
	scheme = strings.ToLower(scheme)
	s := site{secure: scheme == "https", host: host}
	host = strings.ToLower(host)
	port := ":80"
	if s.secure {
		port = ":443"
	}
	host = strings.TrimSuffix(host, port)
	s.origin = scheme + "://" + host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	s.name = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	return s
}

// checkOrigin refuses a post that a page of another origin caused. Browsers say
// where a post comes from in Sec-Fetch-Site (all since 2023) and Origin (all
// since 2020); either may veto. A sibling subdomain ("same-site") is as foreign as
// any other site. Origin must be our origin to the byte: with user information, as
// "null", or more than once, it is not something a page of ours would send. A
// request with neither field is not from such a browser, so there is no visitor
// whose choice it could forge; like net/http's CrossOriginProtection we let it pass.
func checkOrigin(r *http.Request, s site) *failure {
	foreign := &failure{http.StatusForbidden, "This choice did not come from a page of this site, so it was not taken. Open your choices here and try again."}
	switch fetch := r.Header["Sec-Fetch-Site"]; {
	case len(fetch) == 0:
	case len(fetch) > 1, fetch[0] != "same-origin" && fetch[0] != "none":
		return foreign
	}
	switch origin := r.Header["Origin"]; {
	case len(origin) == 0:
	case len(origin) > 1, origin[0] != s.origin:
		return foreign
	}
	return nil
}
