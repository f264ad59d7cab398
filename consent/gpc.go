package consent

import "net/http"

// SignalsOf reads the browser's statements from the headers of a request. A
// signal is on only if its field value is exactly "1" (W3C Global Privacy
// Control, section 3.1; W3C Tracking Preference Expression, section 5.2), in any
// one of several lines of that field: a signal only takes away, so a second,
// contradicting line cannot be allowed to undo it.
func SignalsOf(h http.Header) Signals {
	var s Signals
	if hasOne(h["Sec-Gpc"]) {
		s |= GPC
	}
	if hasOne(h["Dnt"]) {
		s |= DNT
	}
	return s
}

func hasOne(values []string) bool {
	for _, v := range values {
		if v == "1" {
			return true
		}
	}
	return false
}

// DeniedBy returns the optional categories that the given signals take away.
func (s *Scheme) DeniedBy(sig Signals) Set {
	var set Set
	for i := range s.Categories {
		if c := &s.Categories[i]; !c.Fixed && c.DeniedBy&sig != 0 {
			set = set.With(i)
		}
	}
	return set
}
