package eventgrid

import (
	"encoding/json"
	"fmt"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// InputSchemaMapping says where a topic for custom events finds the fields that
// Event Grid needs.
type InputSchemaMapping struct {
	Type       mappingType   `json:"inputSchemaMappingType"`
	Properties MappingFields `json:"properties"`
}

// UnmarshalJSON replaces the whole mapping, and knows the only type there is.
func (m *InputSchemaMapping) UnmarshalJSON(data []byte) error {
	type plain InputSchemaMapping
	fresh := plain{Type: "Json"}
	if err := json.Unmarshal(data, &fresh); err != nil {
		return err
	}
	*m = InputSchemaMapping(fresh)
	return nil
}

type mappingType string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *mappingType) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, t, "Json")
}

// MappingFields are the fields of an [InputSchemaMapping]; nil ones are not
// mapped.
type MappingFields struct {
	ID          *MappedField `json:"id,omitempty"`
	Topic       *MappedField `json:"topic,omitempty"`
	Time        *MappedField `json:"eventTime,omitempty"`
	Type        *MappedField `json:"eventType,omitempty"`
	Subject     *MappedField `json:"subject,omitempty"`
	DataVersion *MappedField `json:"dataVersion,omitempty"`
}

// MappedField names a field of the publisher's event, and what stands in for it
// where that is absent. Only eventType, subject and dataVersion have a default.
type MappedField struct {
	Source  string `json:"sourceField,omitempty"`
	Default string `json:"defaultValue,omitempty"`
}

// checkMapping: only custom events have a mapping.
func checkMapping(schema InputSchema, m *InputSchemaMapping) error {
	if m == nil {
		return nil
	}
	if schema != InputCustom {
		return resource.Invalid("The property 'inputSchemaMapping' is for topics with inputSchema '%s'; this one has '%s'.", InputCustom, schema)
	}
	for name, f := range map[string]*MappedField{"id": m.Properties.ID, "topic": m.Properties.Topic, "eventTime": m.Properties.Time} {
		if f != nil && f.Default != "" {
			return resource.Invalid("inputSchemaMapping.properties.%s takes no defaultValue, only a sourceField.", name)
		}
	}
	return nil
}

// InputOf returns what a topic or domain takes, and for custom events where their
// fields are: without a mapping under Event Grid's own names. The domain's own
// topic field is part of it. It fails only for a resource that cannot be read.
func InputOf(topic *resource.Resource) (event.Schema, *event.Mapping, error) {
	p, err := resource.Properties[Topic](topic)
	if err != nil {
		return 0, nil, fmt.Errorf("decode %s: %w", topic.ID, err)
	}
	schema := p.InputSchema.Event()
	if schema != event.Custom {
		return schema, nil, nil
	}
	if p.Mapping == nil {
		return schema, &event.Mapping{
			ID: event.Field{Source: "id"}, Topic: event.Field{Source: "topic"}, Time: event.Field{Source: "eventTime"},
			Subject: event.Field{Source: "subject"}, Type: event.Field{Source: "eventType"}, DataVersion: event.Field{Source: "dataVersion"},
		}, nil
	}
	field := func(f *MappedField) event.Field {
		if f == nil {
			return event.Field{}
		}
		return event.Field{Source: f.Source, Default: f.Default}
	}
	m := p.Mapping.Properties
	return schema, &event.Mapping{
		ID: field(m.ID), Topic: field(m.Topic), Time: field(m.Time),
		Subject: field(m.Subject), Type: field(m.Type), DataVersion: field(m.DataVersion),
	}, nil
}
