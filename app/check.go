package app

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/folder"
	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/store"
)

// CheckReport is what [Check] has found.
type CheckReport struct{ local.Report }

// Check reads all of the data folder that o names, and changes nothing in it. The
// server that uses it must be stopped.
func Check(ctx context.Context, o Options) (_ *CheckReport, err error) {
	f, err := folder.Open(o.Data)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	key := o.MasterKeyFile
	if key == "" {
		key = filepath.Join(o.Data, masterKeyName)
	}
	secret, err := store.LoadMasterKey(key, false)
	if err != nil {
		return nil, err
	}
	sealer, err := store.NewSealer(secret)
	if err != nil {
		return nil, err
	}
	report, err := local.Check(ctx, local.Options{Dir: o.Data}, local.Reader{
		Record:   eventlog.CheckRecord,
		Delivery: func(d engine.Delivery) error { return eventlog.CheckDelivery(&d) },
		Resource: func(w engine.Write) error { return store.Check(w.Value, sealer) },
	})
	if err != nil {
		return nil, err
	}
	return &CheckReport{*report}, nil
}

// Sound reports that nothing is wrong.
func (r *CheckReport) Sound() bool {
	return len(r.Missing) == 0 && len(r.Damaged) == 0 && len(r.Unreadable) == 0
}

// Lines says it to a person.
func (r *CheckReport) Lines() []string {
	d := r.Counts.Deliveries
	lines := []string{
		fmt.Sprintf("resources           %d", r.Resources),
		fmt.Sprintf("records of events   %d", r.Counts.Records),
		fmt.Sprintf("waiting deliveries  %d", d[engine.Waiting]),
		fmt.Sprintf("spilled deliveries  %d", d[engine.Spilled]),
		fmt.Sprintf("dead letters        %d", d[engine.DeadLetters]),
	}
	for what, found := range map[string][]string{"missing": r.Missing, "damaged": r.Damaged, "unreadable": r.Unreadable} {
		for _, f := range found {
			lines = append(lines, what+": "+f)
		}
	}
	slices.Sort(lines[5:])
	switch {
	case r.Sound():
		lines = append(lines, "All of it can be read, and nothing is missing.")
	case r.ID != "":
		lines = append(lines, "To go on without what is missing and damaged, which is then lost: intertie serve --accept-loss="+r.ID)
	}
	return lines
}
