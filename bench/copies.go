package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/intertie/intertie/resource"
)

// copiesPerCommit bounds what is written at once: a commit holds less than 1,000
// resources.
const copiesPerCommit = 900

// multiply copies a stream, its channel and its partner topic with all event
// subscriptions, as often as asked for, in the data folder of a server that does
// not run.
func multiply(ctx context.Context, data string, e Endpoint, copies int) (err error) {
	if copies <= 0 {
		return nil
	}
	f, err := openFolder(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	channel, err := f.get(e.Channel)
	if err != nil {
		return err
	}
	topic, err := f.get(e.Topic)
	if err != nil {
		return err
	}
	pattern := append([]*resource.Resource{channel, topic}, f.subscriptions(topic.ID)...)
	var waiting []*resource.Resource
	flush := func() error {
		err := f.store.Commit(ctx, func(tx resource.Tx) error {
			for _, r := range waiting {
				tx.Put(r)
			}
			return nil
		})
		waiting = waiting[:0]
		if err != nil {
			return fmt.Errorf("write copies of %s: %w", e.Topic, err)
		}
		return nil
	}
	for n := range copies {
		made, err := duplicate(pattern, topic.ID.Name(), fmt.Sprintf("%s-%06d", topic.ID.Name(), n))
		if err != nil {
			return err
		}
		if len(waiting)+len(made) > copiesPerCommit {
			if err := flush(); err != nil {
				return err
			}
		}
		waiting = append(waiting, made...)
	}
	return flush()
}

// duplicate copies resources that belong together, under another name and as
// others: what names one of them names its copy in the copies.
func duplicate(pattern []*resource.Resource, name, as string) ([]*resource.Resource, error) {
	// Names stand in ids, between slashes or at an end, and as whole values.
	pairs := []string{"/" + name + "/", "/" + as + "/", "/" + name + `"`, "/" + as + `"`, `"` + name + `"`, `"` + as + `"`}
	uids := make([]resource.UID, len(pattern))
	for i, r := range pattern {
		uids[i] = resource.NewUID()
		pairs = append(pairs, r.UID.String(), uids[i].String())
	}
	replace := strings.NewReplacer(pairs...)
	var out []*resource.Resource
	for i, r := range pattern {
		c := r.Clone()
		c.UID, c.Revision = uids[i], 0
		// The quote marks the end of the id for the replacer.
		id, err := resource.ParseID(strings.TrimSuffix(replace.Replace(r.ID.String()+`"`), `"`))
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", r.ID, err)
		}
		if id.Equal(r.ID) {
			return nil, fmt.Errorf("copy %s: its id does not hold the name %s", r.ID, name)
		}
		c.ID = id
		c.Properties = bytes.Clone([]byte(replace.Replace(string(r.Properties))))
		for key, secret := range r.Secrets {
			c.Secrets[key] = strings.TrimSuffix(replace.Replace(secret+`"`), `"`)
		}
		out = append(out, c)
	}
	return out, nil
}
