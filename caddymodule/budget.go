package caddymodule

import "sync/atomic"

// inHand is the memory, in bytes, that the pages being rewritten in this process
// hold. It belongs to the process and not to a configuration: pages begun before
// a reload hold theirs until they end.
var inHand atomic.Int64

// pageMemory is what a page takes at least: its first bytes and the rewriter.
const pageMemory = 40 << 10

// reserve sets aside what a page about to be read takes, unless max_memory is in
// use. What a page needs beyond that is added as it grows: what has begun is not
// broken off, and may grow by max_hold and max_inline.
func (w *responseWriter) reserve(n int) bool {
	if inHand.Add(int64(n)) > w.h.MaxMemory {
		inHand.Add(-int64(n))
		return false
	}
	w.memory = n
	return true
}

// remeasure brings what is set aside up to what the page holds now.
func (w *responseWriter) remeasure() {
	if w.memory == 0 {
		return
	}
	n := pageMemory
	if w.rw != nil {
		n = max(n, w.rw.Capacity())
	}
	if w.dec != nil {
		n += w.dec.Memory()
	}
	if w.enc != nil {
		n += w.enc.Capacity()
	}
	if n != w.memory {
		inHand.Add(int64(n - w.memory))
		w.memory = n
	}
}

// unreserve gives back what was set aside.
func (w *responseWriter) unreserve() {
	inHand.Add(-int64(w.memory))
	w.memory = 0
}
