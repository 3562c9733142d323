package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/intertie/intertie/app"
)

// limits are upper bounds by name. As text they are NAME=N, with commas or line
// breaks between.
type limits map[string]int

// Decode reads one flag, the environment variable, or the file's mapping.
func (l *limits) Decode(ctx *kong.DecodeContext) error {
	token := ctx.Scan.Pop()
	if *l == nil {
		*l = limits{}
	}
	switch v := token.Value.(type) {
	case string:
		for pair := range strings.FieldsFuncSeq(v, func(c rune) bool { return c == ',' || c == '\n' }) {
			name, text, ok := strings.Cut(pair, "=")
			if !ok {
				return fmt.Errorf("%q is not NAME=N", pair)
			}
			if err := l.set(strings.TrimSpace(name), strings.TrimSpace(text)); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, value := range v {
			if err := l.set(name, fmt.Sprint(value)); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%v is not a mapping of names to numbers", v)
	}
	return nil
}

func (l *limits) set(name, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s: %q is not a whole number", name, text)
	}
	tried := app.Options{}
	if err := app.SetLimit(&tried.Limits, name, n); err != nil {
		return err
	}
	(*l)[name] = n
	return nil
}
