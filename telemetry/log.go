package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// Format is how log records are written.
type Format string

const (
	// Auto is Text when the output is a terminal, JSON otherwise.
	Auto Format = "auto"
	// Text is one line of key=value pairs for people.
	Text Format = "text"
	// JSON is one object a line for machines.
	JSON Format = "json"
)

// UnmarshalText accepts the names of the formats in any casing; the empty text
// is [Auto].
func (f *Format) UnmarshalText(b []byte) error {
	switch v := Format(strings.ToLower(string(b))); v {
	case Auto, Text, JSON:
		*f = v
	case "":
		*f = Auto
	default:
		return fmt.Errorf("log format %q is none of auto, text, json", b)
	}
	return nil
}

// LogOptions says how to log. The zero value is automatic format from level
// info upwards.
type LogOptions struct {
	Format Format
	// Level is the lowest level that is written; a *slog.LevelVar lets it
	// change while the program runs. Nil is info.
	Level slog.Leveler
}

// NewLogger returns a logger that writes to w, safe for concurrent use. Each
// record is one Write.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	ho := &slog.HandlerOptions{Level: o.Level}
	switch {
	case o.Format == JSON, o.Format != Text && !isTerminal(w):
		return slog.New(slog.NewJSONHandler(w, ho))
	default:
		return slog.New(slog.NewTextHandler(w, ho))
	}
}

// isTerminal reports whether w is a character device. That includes the null
// device, where the format does not matter.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
