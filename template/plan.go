package template

import (
	"context"
	"strings"
)

// Plan evaluates a template without making anything: which resources a
// deployment would make, with what body. Values that only the deployment brings
// appear as a text that says so.
func (t *Template) Plan(ctx context.Context, host Host, in Input) (*Result, error) {
	return t.Deploy(ctx, &dryHost{Host: host, planned: map[string]bool{}}, in)
}

// dryHost reads what exists and makes nothing.
type dryHost struct {
	Host
	planned map[string]bool // by lower-case id
}

func (d *dryHost) Put(_ context.Context, r Resource) (map[string]any, error) {
	d.planned[strings.ToLower(r.ID)] = true
	return nil, nil // unknown
}

func (d *dryHost) Get(ctx context.Context, id, version string) (map[string]any, error) {
	if d.planned[strings.ToLower(id)] {
		return nil, nil
	}
	return d.Host.Get(ctx, id, version)
}

// Act is not carried out: even listKeys is an action that leaves a trace.
func (d *dryHost) Act(context.Context, string, string, string, any) (any, error) { return nil, nil }

func (d *dryHost) Nested(context.Context, string, *Result) error { return nil }
