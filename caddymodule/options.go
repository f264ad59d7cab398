package caddymodule

import (
	"fmt"
	"strings"
)

// Defaults and limits of the options of [Handler].
const (
	DefaultPrefix     = "/_cg/"
	DefaultMaxHold    = 64 << 10
	DefaultMaxInline  = 64 << 10
	DefaultMaxMemory  = 512 << 20
	DefaultMaxDecoded = 64 << 20
	DefaultMaxRatio   = 200
	DefaultMaxWindow  = 8 << 20
	DefaultMaxCookies = 3000

	smallestHold    = 1 << 10
	largestHold     = 16 << 20
	smallestMemory  = 1 << 20
	largestMemory   = 1 << 40
	smallestDecoded = 1 << 20
	largestDecoded  = 4 << 30
	smallestRatio   = 10
	largestRatio    = 10000
	smallestWindow  = 1 << 20
	largestWindow   = 128 << 20
	fewestCookies   = 10
	mostCookies     = 3000
)

// How pages may be cached.
const (
	cachePrivate = "private"
	cacheShared  = "shared"
)

// What the handler does with a page it cannot rewrite.
const (
	policyStrict  = "strict"
	policyGuarded = "guarded"
	policyObserve = "observe"
)

// setDefaults puts the documented default in place of every zero option.
func (h *Handler) setDefaults() {
	setDefault(&h.Prefix, DefaultPrefix)
	setDefault(&h.Cache, cachePrivate)
	setDefault(&h.FailurePolicy, policyGuarded)
	setDefault(&h.MaxHold, DefaultMaxHold)
	setDefault(&h.MaxInline, DefaultMaxInline)
	setDefault(&h.MaxMemory, DefaultMaxMemory)
	setDefault(&h.MaxDecoded, DefaultMaxDecoded)
	setDefault(&h.MaxRatio, DefaultMaxRatio)
	setDefault(&h.MaxWindow, DefaultMaxWindow)
	setDefault(&h.MaxCookies, DefaultMaxCookies)
}

func setDefault[T comparable](option *T, value T) {
	var zero T
	if *option == zero {
		*option = value
	}
}

// check refuses options that cannot work, each with the value and the fix. The
// JSON configuration reaches it without the Caddyfile's own checks.
func (h *Handler) check() error {
	if err := checkPrefix(h.Prefix); err != nil {
		return err
	}
	if err := checkCache(h.Cache); err != nil {
		return err
	}
	if err := checkFailurePolicy(h.FailurePolicy); err != nil {
		return err
	}
	for _, size := range []struct {
		word           string
		value          int64
		smallest, most int64
	}{
		{"max_hold", int64(h.MaxHold), smallestHold, largestHold},
		{"max_inline", int64(h.MaxInline), smallestHold, largestHold},
		{"max_memory", h.MaxMemory, smallestMemory, largestMemory},
		{"max_decoded", h.MaxDecoded, smallestDecoded, largestDecoded},
		{"max_window", int64(h.MaxWindow), smallestWindow, largestWindow},
	} {
		if err := checkSize(size.word, size.value, size.smallest, size.most); err != nil {
			return err
		}
	}
	if err := checkNumber("max_ratio", h.MaxRatio, smallestRatio, largestRatio); err != nil {
		return err
	}
	return checkNumber("max_cookies", h.MaxCookies, fewestCookies, mostCookies)
}

func checkCache(mode string) error {
	switch mode {
	case cachePrivate, cacheShared:
		return nil
	}
	return fmt.Errorf("cache %q: use private or shared", mode)
}

func checkFailurePolicy(mode string) error {
	switch mode {
	case policyStrict, policyGuarded, policyObserve:
		return nil
	}
	return fmt.Errorf("failure_policy %q: use strict, guarded or observe", mode)
}

func checkSize(word string, value, smallest, most int64) error {
	if value < smallest || value > most {
		return fmt.Errorf("%s %d bytes: use a size from %s to %s", word, value, binarySize(smallest), binarySize(most))
	}
	return nil
}

func checkNumber(word string, value, smallest, most int) error {
	if value < smallest || value > most {
		return fmt.Errorf("%s %d: use a number from %d to %d", word, value, smallest, most)
	}
	return nil
}

// binarySize spells a multiple of 1 KiB as people write it.
func binarySize(n int64) string {
	for _, u := range []struct {
		shift uint
		name  string
	}{{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n >= 1<<u.shift && n%(1<<u.shift) == 0 {
			return fmt.Sprintf("%d%s", n>>u.shift, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// checkPrefix refuses prefixes that would cover the whole site, or that browsers
// and routers spell in more than one way.
func checkPrefix(p string) error {
	if len(p) < 3 || p[0] != '/' || p[len(p)-1] != '/' || strings.Contains(p, "//") {
		return fmt.Errorf("prefix %q: write a path that begins and ends with \"/\", such as %s", p, DefaultPrefix)
	}
	for _, segment := range strings.Split(p[1:len(p)-1], "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("prefix %q: leave out the %q segment", p, segment)
		}
	}
	for _, b := range []byte(p) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '/', b == '-', b == '_', b == '.', b == '~':
		default:
			return fmt.Errorf("prefix %q: use only letters, digits, \"-\", \"_\", \".\", \"~\" and \"/\"", p)
		}
	}
	return nil
}
