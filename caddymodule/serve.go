package caddymodule

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

// activeVar is the variable of Caddy's by which handlers find out that a consent
// handler is acting on the request. It points to whether one is: connections to
// the site that are still being made when the handlers behind have returned read
// the table of variables, which must not change any more then.
const activeVar = "consent.active"

// activeKey does the same in the context of a request, where the variables may not
// be written to.
type activeKey struct{}

// A visit is one request as the visitor's browser sees it, and what may be done
// for it.
type visit struct {
	scheme, host, path string // URL of the page in the browser; host with port
	asked              string // the host that caches in front know the answer by: no client can make up another
	method             string
	destination        string // Sec-Fetch-Dest; "" from browsers that do not send it
	http10             bool
	connect            bool // CONNECT, or a WebSocket over HTTP/2 or 3: the answer is a tunnel
	navigation         bool // the browser will show the answer as a page
	mayBePage          bool // the browser may parse the answer as HTML

	acceptEncoding []string // what the client takes, before it was narrowed for the site

	state consent.State
	bound policy.Bound // what is held back from this visitor
	page  policy.Bound // what is held back from the pages they get; with "cache shared" the same for all
	open  bool         // nothing is held back from pages
	free  bool         // the policy holds nothing back from anybody

	revalidation rewriter.Revalidation // of what the browser holds
}

// ServeHTTP answers requests below the own prefix, and stands between all others
// and their answers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	active, _ := vars[activeVar].(*bool)
	if active != nil && *active || r.Context().Value(activeKey{}) != nil {
		return next.ServeHTTP(w, r) // inside another consent handler, which acts
	}
	original := originalURL(r)
	if h.isOwn(original.Path) {
		h.serveOwn(w, r, original)
		return nil
	}
	rw := newResponseWriter(h, w)
	if active == nil {
		active = &rw.active
		if vars != nil && r.Context().Value(caddyhttp.ErrorCtxKey) == nil {
			vars[activeVar] = active
		} else {
			// What the failed request left behind may still be reading the map.
			r = r.WithContext(context.WithValue(r.Context(), activeKey{}, true))
		}
	}
	*active = true
	h.visit(r, original, &rw.v)
	asked, returned, ended := r.Header, false, false
	// On the request itself, so that the placeholders of handlers behind, which
	// read it, show nothing that is withheld.
	r.Header = h.towardsSite(asked, &rw.v)
	defer func() {
		// Error routes go through a consent handler of their own, and find what the
		// visitor asked.
		*active, r.Header = false, asked
		switch {
		case ended:
		case returned:
			rw.abandon() // the writer below panicked
		case rw.toldToStop():
			// The reverse proxy panics when it cannot write. Our answer is whole:
			// the connection need not break.
			if fault := recover(); fault != http.ErrAbortHandler { //nolint:errorlint // panic value, never wrapped
				rw.abandon()
				panic(fault)
			}
			_ = rw.conclude(nil)
		default:
			rw.abandon()
		}
	}()
	err := next.ServeHTTP(rw, r)
	returned = true
	err = rw.end(err)
	ended = true
	return err
}

// isOwn reports whether the gateway answers for the path itself.
func (h *Handler) isOwn(path string) bool {
	return strings.HasPrefix(path, h.Prefix) || len(path) == len(h.Prefix)-1 && path == h.Prefix[:len(path)]
}

// serveOwn answers a request below the own prefix. It goes by the URL the
// browser asked for: rewrites such as try_files are meant for the site.
func (h *Handler) serveOwn(w http.ResponseWriter, r *http.Request, original *url.URL) {
	h.metrics.outcome(outcomeOwn).Inc()
	own := new(http.Request)
	*own = *r
	own.URL = original
	h.api.ServeHTTP(w, own)
}

// originalURL returns the URL as it was before Caddy's handlers changed it.
func originalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}

// visit gathers what is known about the request.
func (h *Handler) visit(r *http.Request, original *url.URL, v *visit) {
	scheme, host := external(r)
	if h.Cache == cacheShared {
		// A cache in front keeps the page for everybody, and does not tell copies
		// apart by X-Forwarded-Host, which any client may send it: with a vendor's
		// name in it, that vendor would be the site itself.
		host = r.Host
	}
	*v = visit{
		scheme:         scheme,
		host:           host,
		asked:          r.Host,
		path:           original.EscapedPath(),
		method:         r.Method,
		destination:    firstValue(r.Header, "Sec-Fetch-Dest"),
		http10:         !r.ProtoAtLeast(1, 1),
		connect:        r.Method == http.MethodConnect,
		acceptEncoding: r.Header["Accept-Encoding"],
		state:          h.resolver.Resolve(r.Header, scheme == "https"),
	}
	v.mayBePage = rewriter.MayBeHTML(r)
	v.navigation = r.Method == http.MethodGet && isNavigation(r.Header)
	v.bound = h.policy.Bind(v.state, "")
	v.page = v.bound
	if h.Cache == cacheShared {
		v.page = v.bound.Undecided()
	}
	v.open = v.page.Unrestricted()
	v.free = v.bound.Undecided().Unrestricted()
	if v.state.Problem != consent.NoProblem {
		h.metrics.cookieProblems.WithLabelValues(v.state.Problem.String()).Inc()
	}
}

// variant names what the pages are made of: policy, grants, rewriter, and those
// options that decide how much of a page is read.
func (h *Handler) variant(v *visit) string { return v.page.Variant() + h.settings }

// at returns b for the page's own host.
func (v *visit) at(b policy.Bound) policy.Bound { return b.At(hostname(v.host)) }

// isNavigation reports whether a browser asks for a page to show it.
func isNavigation(h http.Header) bool {
	if firstValue(h, "Sec-Purpose") != "" || firstValue(h, "Upgrade") != "" {
		return false // prefetched, perhaps never shown
	}
	if mode := firstValue(h, "Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && firstValue(h, "Sec-Fetch-Dest") == "document"
	}
	return strings.Contains(firstValue(h, "Accept"), "text/html")
}

// external returns the scheme and host (with port) under which the visitor's
// browser sees the site. What proxies in front report counts only if Caddy
// trusts them (the trusted_proxies option).
func external(r *http.Request) (scheme, host string) {
	scheme, host = "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted {
		return scheme, host
	}
	// The last value is the one our neighbour set, as Caddy's reverse proxy reads it.
	if proto := strings.ToLower(lastValue(r.Header["X-Forwarded-Proto"])); proto == "http" || proto == "https" {
		scheme = proto
	}
	if forwarded := lastValue(r.Header["X-Forwarded-Host"]); forwarded != "" {
		host = forwarded
	}
	return scheme, host
}

func lastValue(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	return strings.Trim(last[strings.LastIndexByte(last, ',')+1:], " \t")
}

// hostname returns host in lower case without port and trailing dot.
func hostname(host string) string {
	if strings.IndexByte(host, ':') >= 0 { // or SplitHostPort would only make an error
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// towardsSite returns the request's fields as the site gets them: without cookies
// that were not granted, and without what would make it answer with something that
// cannot be rewritten or that belongs to another state. asked is left alone, and
// returned if nothing changes.
func (h *Handler) towardsSite(asked http.Header, v *visit) http.Header {
	cookies, changed, tooMany := rewriter.KeptCookies(asked, v.bound, h.own, h.MaxCookies, func(category string, a policy.Action) {
		h.metrics.cookie(towardsTheSite, category, a).Inc()
	})
	if tooMany {
		h.metrics.cookie(towardsTheSite, cookieTooMany, policy.Block).Inc()
	}
	whole := v.mayBePage && !v.open
	conditional := rewriter.Conditional(asked)
	if !changed && !whole && !conditional {
		return asked
	}
	hdr := maps.Clone(asked)
	if changed {
		rewriter.ReplaceCookies(hdr, cookies)
	}
	variant := ""
	if conditional {
		variant = h.variant(v)
	}
	v.revalidation = rewriter.OriginETags(hdr, variant, v.mayBePage)
	if whole {
		rewriter.StripRange(hdr)
		rewriter.NarrowAcceptEncoding(hdr)
	}
	return hdr
}
