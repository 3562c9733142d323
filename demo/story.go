package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// story writes the narration: plain text of at most 100 columns, with colour
// only when asked. Write errors are ignored: a closed pipe must not keep the
// demo from counting.
type story struct {
	out   io.Writer
	color bool
}

const (
	bold  = "1"
	dim   = "2"
	green = "32"
	red   = "31"
)

// tint colours text that is already padded, so that columns stay aligned.
func (s story) tint(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s story) linef(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// sayf is one line of one actor.
func (s story) sayf(actor, format string, args ...any) {
	s.linef("  %s %s", s.tint(bold, fmt.Sprintf("%-10s", actor)), fmt.Sprintf(format, args...))
}

const cell = 10 // width of a column of the table

// header names the columns: one for each mailbox, customer above mailbox.
func (s story) header(places []place) {
	above, below := fmt.Sprintf("%*s%*s", 9, "", cell, ""), fmt.Sprintf("%9s%*s", "seconds", cell, "published")
	for _, p := range places {
		above += fmt.Sprintf("%*s", cell, p.customer)
		below += fmt.Sprintf("%*s", cell, p.box)
	}
	s.linef("%s", s.tint(dim, above))
	s.linef("%s", s.tint(dim, below+"   last delivery"))
}

func (s story) row(at time.Duration, published int64, counts []int, last arrival) {
	var b strings.Builder
	fmt.Fprintf(&b, "%9.1f%*d", at.Seconds(), cell, published)
	for _, n := range counts {
		fmt.Fprintf(&b, "%*d", cell, n)
	}
	if last.order.number != 0 {
		fmt.Fprintf(&b, "   %s  %.2f to %s", strings.TrimPrefix(last.order.kind, "Northwave."), last.order.total, last.box)
	}
	s.linef("%s", b.String())
}

// ending prints the delays, and the line that scripts read.
func (s story) ending(r Result) {
	s.linef("")
	if r.Delivered > 0 {
		s.linef("from publishing to webhook: half within %s, 99 %% within %s",
			round(r.DelayMedian), round(r.Delay99))
	}
	if r.Misrouted > 0 {
		s.linef("%s", s.tint(red, fmt.Sprintf("%d deliveries went where no filter asked for them", r.Misrouted)))
	}
	code := green
	if !r.Complete() {
		code = red
	}
	s.linef("%s", s.tint(code, fmt.Sprintf("published=%d delivered=%d lost=%d duplicates=%d",
		r.Published, r.Delivered, r.Lost, r.Duplicates)))
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
