package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/intertie/intertie/resource"
)

// recordVersion is written with each record; a greater one was written by a
// newer program and is refused rather than misread.
const recordVersion = 1

// record is the durable form of a resource.
type record struct {
	Version    int                        `json:"v"`
	ID         string                     `json:"id"`
	UID        resource.UID               `json:"uid"`
	Type       string                     `json:"type"`
	Location   string                     `json:"location,omitempty"`
	Tags       map[string]string          `json:"tags,omitempty"`
	Identity   json.RawMessage            `json:"identity,omitempty"`
	Properties json.RawMessage            `json:"properties,omitempty"`
	Extra      map[string]json.RawMessage `json:"extra,omitempty"`
	Sealed     []byte                     `json:"sealed,omitempty"`
	CreatedAt  time.Time                  `json:"createdAt"`
	CreatedBy  string                     `json:"createdBy,omitempty"`
	ModifiedAt time.Time                  `json:"modifiedAt"`
	ModifiedBy string                     `json:"modifiedBy,omitempty"`
}

func encode(r *resource.Resource, sealer *Sealer) ([]byte, error) {
	rec := record{
		Version: recordVersion, ID: r.ID.String(), UID: r.UID, Type: r.Type, Location: r.Location, Tags: r.Tags,
		Identity: r.Identity, Properties: r.Properties, Extra: r.Extra,
		CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, ModifiedAt: r.ModifiedAt, ModifiedBy: r.ModifiedBy,
	}
	if len(r.Secrets) > 0 {
		plain, err := json.Marshal(r.Secrets)
		if err != nil {
			return nil, fmt.Errorf("encode secrets of %s: %w", r.ID, err)
		}
		rec.Sealed = sealer.seal(sealName(r.UID), plain)
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.ID, err)
	}
	return data, nil
}

func decode(data []byte, sealer *Sealer) (*resource.Resource, error) {
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return nil, fmt.Errorf("decode resource record: %w", err)
	}
	if rec.Version > recordVersion {
		return nil, fmt.Errorf("resource %s was written by a newer version of Intertie (record version %d, this one reads up to %d)",
			rec.ID, rec.Version, recordVersion)
	}
	id, err := resource.ParseID(rec.ID)
	if err != nil {
		return nil, fmt.Errorf("decode resource record: %w", err)
	}
	r := &resource.Resource{
		ID: id, UID: rec.UID, Type: rec.Type, Location: rec.Location, Tags: rec.Tags,
		Identity: rec.Identity, Properties: rec.Properties, Extra: rec.Extra,
		CreatedAt: rec.CreatedAt, CreatedBy: rec.CreatedBy, ModifiedAt: rec.ModifiedAt, ModifiedBy: rec.ModifiedBy,
	}
	if len(rec.Sealed) > 0 {
		plain, err := sealer.open(sealName(rec.UID), rec.Sealed)
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", rec.ID, err)
		}
		if err := json.Unmarshal(plain, &r.Secrets); err != nil {
			return nil, fmt.Errorf("decode secrets of %s: %w", rec.ID, err)
		}
	}
	return r, nil
}

func sealName(uid resource.UID) string { return "resource/" + uid.String() }

// subjectPrefix is followed by the escaped key of one resource.
const subjectPrefix = "intertie.state.r."

// subjectTransaction holds the last transaction of several resources, whole.
const subjectTransaction = "intertie.state.tx"

// subjectOf turns the key of an id into a subject: a token per segment, every
// byte that NATS or its tools could take amiss written as =XX.
func subjectOf(key string) string {
	var b strings.Builder
	b.WriteString(subjectPrefix)
	for _, c := range []byte(strings.TrimPrefix(key, "/")) {
		switch {
		case c == '/':
			b.WriteByte('.')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}
