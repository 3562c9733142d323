package listen

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// Event is one event as it was received.
type Event struct {
	// Type, Source, Subject and ID name the event; Source is the topic of an
	// event in the Event Grid schema. Time is what the publisher wrote.
	Type, Source, Subject, ID, Time string
	// Data is the payload: JSON, or for binary mode whatever was sent. A
	// payload in data_base64 is still encoded, as a JSON string.
	Data []byte
	// Header is the header of the request the event came in, shared by the
	// events of a batch.
	Header http.Header
	// Status is what the request was answered with.
	Status int
}

// envelope has the names of both schemas.
type envelope struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Subject     string          `json:"subject"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	Time        string          `json:"time"`
	DataBase64  json.RawMessage `json:"data_base64"`
	Data        json.RawMessage `json:"data"`
	EventType   string          `json:"eventType"`
	EventTime   string          `json:"eventTime"`
	Topic       string          `json:"topic"`
}

// decode reads the events of a request in any of the forms they come in. At
// least one is returned, unless a batch is empty.
func decode(h http.Header, body []byte) ([]Event, error) {
	if h.Get("Ce-Specversion") != "" {
		return []Event{{
			Type: h.Get("Ce-Type"), Source: h.Get("Ce-Source"), Subject: h.Get("Ce-Subject"),
			ID: h.Get("Ce-Id"), Time: h.Get("Ce-Time"), Data: body, Header: h,
		}}, nil
	}
	body = bytes.TrimSpace(body)
	var list []envelope
	switch {
	case len(body) == 0:
		return nil, errors.New("the body is empty")
	case body[0] == '[':
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, errors.New("the body is not an array of events")
		}
	default:
		list = make([]envelope, 1)
		if err := json.Unmarshal(body, &list[0]); err != nil {
			return nil, errors.New("the body is not an event")
		}
	}
	events := make([]Event, 0, len(list))
	for _, e := range list {
		ev := Event{Subject: e.Subject, ID: e.ID, Data: e.Data, Header: h}
		switch {
		case e.SpecVersion != "":
			ev.Type, ev.Source, ev.Time = e.Type, e.Source, e.Time
			if ev.Data == nil {
				ev.Data = e.DataBase64
			}
		case e.EventType != "":
			ev.Type, ev.Source, ev.Time = e.EventType, e.Topic, e.EventTime
		default:
			return nil, errors.New("an event has neither specversion nor eventType")
		}
		events = append(events, ev)
	}
	return events, nil
}

// validationType is the event by which Event Grid asks for consent.
const validationType = "Microsoft.EventGrid.SubscriptionValidationEvent"

// validationCode returns the code to echo if the events are a handshake, which
// always comes alone.
func validationCode(events []Event) (string, bool) {
	if len(events) != 1 || !strings.EqualFold(events[0].Type, validationType) {
		return "", false
	}
	var data struct {
		Code string `json:"validationCode"`
	}
	if json.Unmarshal(events[0].Data, &data) != nil || data.Code == "" {
		return "", false
	}
	return data.Code, true
}

func validationResponse(code string) []byte {
	b, err := json.Marshal(map[string]string{"validationResponse": code})
	if err != nil {
		return nil // unreachable: every string can be encoded
	}
	return b
}
