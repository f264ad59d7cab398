package rewriter

import (
	"bytes"

	"github.com/consentgate/consentgate/policy"
)

// jsonStrings goes through the strings of a JSON text.
type jsonStrings struct {
	text       []byte
	pos        int
	start, end int  // of the string at hand, without its quotes
	key        bool // a ':' follows it
}

// next goes on to the next string; false at the end, and before a string that
// does not end.
func (s *jsonStrings) next() bool {
	i := bytes.IndexByte(s.text[s.pos:], '"')
	if i < 0 {
		return false
	}
	s.start = s.pos + i + 1
	n := stringEnd(s.text[s.start:])
	if n < 0 {
		return false
	}
	s.end = s.start + n
	s.pos = s.end + 1
	rest := bytes.TrimLeft(s.text[s.pos:], " \t\n\r")
	s.key = len(rest) > 0 && rest[0] == ':'
	return true
}

// value returns the text that the string stands for, valid until the next call.
func (s *jsonStrings) value(rw *Rewriter) []byte {
	v := s.text[s.start:s.end]
	if bytes.IndexByte(v, '\\') >= 0 {
		rw.plain = unescapeJSON(rw.plain[:0], v)
		v = rw.plain
	}
	return v
}

// judgeStrings decides about JSON by the addresses among its values.
func (rw *Rewriter) judgeStrings(text []byte, k policy.Kind) policy.Decision {
	for s := (jsonStrings{text: text}); s.next(); {
		v := s.value(rw)
		if s.key || !bytes.ContainsAny(v, `:/\`) {
			continue
		}
		if d := rw.judgeURL(v, k); d.Action == policy.Block {
			return d
		}
	}
	return allowed
}

// importMap holds the blocked addresses of an import map one by one: what the page
// imports from elsewhere must go on to work. The keys are names, and addresses
// only of what is replaced.
func (rw *Rewriter) importMap(text []byte, h *inlineHold) policy.Decision {
	if h.foreign && bytes.ContainsAny(text, "&<") {
		return rw.judgeStrings(textContent(text), policy.Script) // its bytes are not its text
	}
	for s := (jsonStrings{text: text}); s.next(); {
		v := s.value(rw)
		if s.key || !bytes.ContainsAny(v, `:/\`) || bytes.HasPrefix(v, []byte(cssPrefix)) {
			continue
		}
		d := rw.judgeURL(v, policy.Script)
		rw.report.decision(d, policy.Script)
		if d.Action == policy.Block {
			rw.insert(h.text+s.start, cssPrefix)
		}
	}
	return allowed
}
