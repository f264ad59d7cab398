package caddymodule

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"

	"github.com/consentgate/consentgate/consent"
)

func init() {
	httpcaddyfile.RegisterDirective("consent", parseCaddyfile)
	// Inside encode, so that we see what the site sent before it is compressed,
	// and outside templates, intercept and everything that answers.
	httpcaddyfile.RegisterDirectiveOrder("consent", httpcaddyfile.After, "encode")
}

// parseCaddyfile sets up the handler with its matcher. It does what
// RegisterHandlerDirective would, and catches a policy file with an absolute
// path in the place of the matcher, which would silently limit the directive to
// requests for that path.
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	if args := h.RemainingArgs(); len(args) == 1 && looksLikePolicyFile(args[0]) {
		return nil, h.Errf("consent: %s would be read as a path matcher: write \"consent * %s\"", args[0], args[0])
	}
	h.Reset()
	h.Next()
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, handler), nil
}

func looksLikePolicyFile(arg string) bool {
	if !strings.HasPrefix(arg, "/") {
		return false
	}
	switch strings.ToLower(filepath.Ext(arg)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// UnmarshalCaddyfile reads the directive. Its whole grammar:
//
//	consent [<matcher>] [<policy file>] {
//		policy              <policy file>
//		prefix              <path>
//		cache               private|shared
//		failure_policy      strict|guarded|observe
//		max_hold            <size>
//		max_inline          <size>
//		max_memory          <size>
//		max_decoded         <size>
//		max_ratio           <number>
//		max_window          <size>
//		max_cookies         <number>
//		cookie_name         <name>
//		honor_no_transform
//	}
//
// Everything is optional: "consent" alone works, with the built-in policy. The
// policy file stands either on the first line or in the block. An absolute path
// on the first line needs a matcher before it ("consent * /etc/policy.yaml"),
// since Caddy reads a first argument that begins with "/" as a path matcher.
// Sizes are written as "64KiB" or "1MB". What each word does, and its default,
// is told at the fields of [Handler].
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	seen := make(map[string]bool)
	if d.NextArg() {
		h.Policy = d.Val()
		seen["policy"] = true
	}
	if d.NextArg() {
		return d.Errf("consent: unexpected argument %q: at most one policy file stands here, options go into a block", d.Val())
	}
	for d.NextBlock(0) {
		word := d.Val()
		if seen[word] {
			return d.Errf("consent: %s is given twice: remove one", word)
		}
		seen[word] = true
		if err := h.unmarshalOption(d, word); err != nil {
			return err
		}
	}
	return nil
}

// unmarshalOption reads one line of the block.
func (h *Handler) unmarshalOption(d *caddyfile.Dispenser, word string) error {
	switch word {
	case "policy":
		return oneArg(d, word, "the policy file", &h.Policy)
	case "prefix":
		if err := oneArg(d, word, "a path such as "+DefaultPrefix, &h.Prefix); err != nil {
			return err
		}
		if err := checkPrefix(h.Prefix); err != nil {
			return d.Errf("consent: %v", err)
		}
	case "cache":
		if err := oneArg(d, word, "private or shared", &h.Cache); err != nil {
			return err
		}
		if err := checkCache(h.Cache); err != nil {
			return d.Errf("consent: %v", err)
		}
	case "failure_policy":
		if err := oneArg(d, word, "strict, guarded or observe", &h.FailurePolicy); err != nil {
			return err
		}
		if err := checkFailurePolicy(h.FailurePolicy); err != nil {
			return d.Errf("consent: %v", err)
		}
	case "max_hold":
		n, err := sizeArg(d, word, smallestHold, largestHold)
		h.MaxHold = int(n)
		return err
	case "max_inline":
		n, err := sizeArg(d, word, smallestHold, largestHold)
		h.MaxInline = int(n)
		return err
	case "max_memory":
		n, err := sizeArg(d, word, smallestMemory, largestMemory)
		h.MaxMemory = n
		return err
	case "max_decoded":
		n, err := sizeArg(d, word, smallestDecoded, largestDecoded)
		h.MaxDecoded = n
		return err
	case "max_ratio":
		return numberArg(d, word, smallestRatio, largestRatio, &h.MaxRatio)
	case "max_window":
		n, err := sizeArg(d, word, smallestWindow, largestWindow)
		h.MaxWindow = int(n)
		return err
	case "max_cookies":
		return numberArg(d, word, fewestCookies, mostCookies, &h.MaxCookies)
	case "cookie_name":
		if err := oneArg(d, word, "the base name of the cookie", &h.CookieName); err != nil {
			return err
		}
		if err := (&consent.Resolver{Scheme: new(consent.Scheme), CookieName: h.CookieName}).Validate(); err != nil {
			return d.WrapErr(err)
		}
	case "honor_no_transform":
		if d.NextArg() {
			return d.Errf("consent: honor_no_transform takes no argument: remove %q", d.Val())
		}
		h.HonorNoTransform = true
	default:
		return d.Errf("consent: unknown option %q: use policy, prefix, cache, failure_policy, max_hold, max_inline, max_memory, max_decoded, max_ratio, max_window, max_cookies, cookie_name or honor_no_transform", word)
	}
	return nil
}

// oneArg reads the one argument of word into dst.
func oneArg(d *caddyfile.Dispenser, word, what string, dst *string) error {
	args := d.RemainingArgs()
	if len(args) != 1 || args[0] == "" {
		return d.Errf("consent: %s takes one argument, %s; got %d", word, what, len(args))
	}
	if d.NextBlock(1) {
		return d.Errf("consent: %s takes no block", word)
	}
	*dst = args[0]
	return nil
}

// sizeArg reads the size after word.
func sizeArg(d *caddyfile.Dispenser, word string, smallest, most int64) (int64, error) {
	var arg string
	if err := oneArg(d, word, "a size such as 64KiB", &arg); err != nil {
		return 0, err
	}
	n, err := humanize.ParseBytes(arg)
	if err != nil || n > math.MaxInt64 {
		return 0, d.Errf("consent: %s %q is not a size: write it as 64KiB or 1MB", word, arg)
	}
	if err := checkSize(word, int64(n), smallest, most); err != nil {
		return 0, d.Errf("consent: %v", err)
	}
	return int64(n), nil
}

// numberArg reads the number after word.
func numberArg(d *caddyfile.Dispenser, word string, smallest, most int, dst *int) error {
	var arg string
	if err := oneArg(d, word, "a number", &arg); err != nil {
		return err
	}
	n, err := strconv.Atoi(arg)
	if err != nil {
		return d.Errf("consent: %s %q is not a number: use one from %d to %d", word, arg, smallest, most)
	}
	if err := checkNumber(word, n, smallest, most); err != nil {
		return d.Errf("consent: %v", err)
	}
	*dst = n
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
