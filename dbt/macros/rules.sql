{#
    Generated from the flow files and the lake's tables by services/loader/quality/rules.py; `make dbt-models`
    writes it again. Bounds are texts, and exact.
#}
{% macro rules() -%}
{{ return({
  "credit_party": {
    "keys": [
      "id"
    ],
    "required": [
      "kind",
      "full_name",
      "created_by",
      "created_at",
      "revision"
    ],
    "checks": [
      {
        "column": "kind",
        "kind": "one_of",
        "values": [
          "person",
          "organisation"
        ],
        "rule": "one of person, organisation"
      }
    ]
  },
  "credit_product": {
    "keys": [
      "code"
    ],
    "required": [
      "name",
      "currency",
      "min_amount",
      "max_amount",
      "min_term_months",
      "max_term_months"
    ],
    "checks": []
  },
  "credit_product_parameters": {
    "keys": [
      "product_code",
      "valid_from"
    ],
    "required": [
      "interest_rate",
      "probability_of_default",
      "loss_given_default",
      "credit_conversion_factor",
      "created_at"
    ],
    "checks": [
      {
        "column": "interest_rate",
        "kind": "min",
        "bound": "0",
        "rule": "at least 0"
      },
      {
        "column": "interest_rate",
        "kind": "max",
        "bound": "10",
        "rule": "at most 10"
      },
      {
        "column": "probability_of_default",
        "kind": "min",
        "bound": "0",
        "rule": "at least 0"
      },
      {
        "column": "probability_of_default",
        "kind": "max",
        "bound": "1",
        "rule": "at most 1"
      },
      {
        "column": "loss_given_default",
        "kind": "min",
        "bound": "0",
        "rule": "at least 0"
      },
      {
        "column": "loss_given_default",
        "kind": "max",
        "bound": "1",
        "rule": "at most 1"
      },
      {
        "column": "credit_conversion_factor",
        "kind": "min",
        "bound": "0",
        "rule": "at least 0"
      },
      {
        "column": "credit_conversion_factor",
        "kind": "max",
        "bound": "1",
        "rule": "at most 1"
      }
    ]
  },
  "credit_application": {
    "keys": [
      "id"
    ],
    "required": [
      "state",
      "revision",
      "created_by",
      "created_at",
      "migrated"
    ],
    "checks": [
      {
        "column": "state",
        "kind": "one_of",
        "values": [
          "DRAFT",
          "SUBMITTED",
          "IN_REVIEW",
          "RETURNED",
          "APPROVED",
          "REJECTED",
          "BOOKED",
          "WITHDRAWN",
          "EXPIRED"
        ],
        "rule": "one of DRAFT, SUBMITTED, IN_REVIEW, RETURNED, APPROVED, REJECTED, BOOKED, WITHDRAWN, EXPIRED"
      }
    ]
  },
  "credit_application_party": {
    "keys": [
      "application_id",
      "party_id",
      "role"
    ],
    "required": [],
    "checks": [
      {
        "column": "role",
        "kind": "one_of",
        "values": [
          "borrower",
          "co-borrower",
          "guarantor"
        ],
        "rule": "one of borrower, co-borrower, guarantor"
      }
    ]
  },
  "credit_application_version": {
    "keys": [
      "application_id",
      "version"
    ],
    "required": [
      "product_code",
      "amount",
      "currency",
      "term_months",
      "purpose",
      "channel",
      "maker",
      "submitted_at",
      "migrated"
    ],
    "checks": [
      {
        "column": "amount",
        "kind": "min",
        "bound": "0.0001",
        "rule": "at least 0.0001"
      },
      {
        "column": "term_months",
        "kind": "min",
        "bound": "1",
        "rule": "at least 1"
      },
      {
        "column": "term_months",
        "kind": "max",
        "bound": "600",
        "rule": "at most 600"
      }
    ]
  },
  "credit_application_version_party": {
    "keys": [
      "application_id",
      "version",
      "party_id",
      "role"
    ],
    "required": [
      "kind",
      "full_name",
      "party_revision",
      "origin"
    ],
    "checks": [
      {
        "column": "role",
        "kind": "one_of",
        "values": [
          "borrower",
          "co-borrower",
          "guarantor"
        ],
        "rule": "one of borrower, co-borrower, guarantor"
      },
      {
        "column": "origin",
        "kind": "one_of",
        "values": [
          "submitted",
          "migrated"
        ],
        "rule": "one of submitted, migrated"
      }
    ]
  },
  "credit_application_event": {
    "keys": [
      "id"
    ],
    "required": [
      "application_id",
      "to_state",
      "role",
      "occurred_at",
      "migrated"
    ],
    "checks": []
  },
  "credit_approval_band": {
    "keys": [
      "band",
      "stage_order"
    ],
    "required": [
      "stage",
      "currency",
      "amount_from"
    ],
    "checks": []
  },
  "credit_decision": {
    "keys": [
      "id"
    ],
    "required": [
      "application_id",
      "version",
      "stage",
      "outcome",
      "maker",
      "decided_at",
      "migrated"
    ],
    "checks": [
      {
        "column": "outcome",
        "kind": "one_of",
        "values": [
          "approve",
          "reject",
          "return"
        ],
        "rule": "one of approve, reject, return"
      }
    ]
  },
  "credit_document": {
    "keys": [
      "id"
    ],
    "required": [
      "application_id",
      "kind",
      "file_name",
      "media_type",
      "size_bytes",
      "sha256",
      "object_key",
      "uploaded_by",
      "uploaded_at"
    ],
    "checks": []
  },
  "credit_bureau_report": {
    "keys": [
      "id"
    ],
    "required": [
      "application_id",
      "party_id",
      "provider",
      "raw_response",
      "received_at"
    ],
    "checks": []
  },
  "credit_loan": {
    "keys": [
      "id"
    ],
    "required": [
      "application_id",
      "version",
      "product_code",
      "borrower_id",
      "principal",
      "currency",
      "interest_rate",
      "term_months",
      "booked_by",
      "booked_at",
      "restructured",
      "defaulted",
      "migrated"
    ],
    "checks": [
      {
        "column": "principal",
        "kind": "min",
        "bound": "0.0001",
        "rule": "at least 0.0001"
      },
      {
        "column": "interest_rate",
        "kind": "min",
        "bound": "0",
        "rule": "at least 0"
      },
      {
        "column": "interest_rate",
        "kind": "max",
        "bound": "10",
        "rule": "at most 10"
      },
      {
        "column": "term_months",
        "kind": "min",
        "bound": "1",
        "rule": "at least 1"
      },
      {
        "column": "term_months",
        "kind": "max",
        "bound": "600",
        "rule": "at most 600"
      }
    ]
  },
  "credit_instalment": {
    "keys": [
      "loan_id",
      "number"
    ],
    "required": [
      "due_on",
      "principal",
      "interest"
    ],
    "checks": [
      {
        "column": "number",
        "kind": "min",
        "bound": "1",
        "rule": "at least 1"
      },
      {
        "column": "number",
        "kind": "max",
        "bound": "600",
        "rule": "at most 600"
      },
      {
        "column": "principal",
        "kind": "min",
        "bound": "0",
        "rule": "at least 0"
      },
      {
        "column": "interest",
        "kind": "min",
        "bound": "0",
        "rule": "at least 0"
      }
    ]
  },
  "credit_servicing_band": {
    "keys": [
      "band",
      "role"
    ],
    "required": [
      "kind",
      "currency",
      "amount_from"
    ],
    "checks": [
      {
        "column": "kind",
        "kind": "one_of",
        "values": [
          "disbursement",
          "write-off",
          "recovery",
          "reversal",
          "classification"
        ],
        "rule": "one of disbursement, write-off, recovery, reversal, classification"
      }
    ]
  },
  "credit_loan_proposal": {
    "keys": [
      "id"
    ],
    "required": [
      "loan_id",
      "booked_by",
      "kind",
      "amount",
      "currency",
      "effective_on",
      "reason",
      "state",
      "revision",
      "proposed_by",
      "proposed_at"
    ],
    "checks": [
      {
        "column": "amount",
        "kind": "min",
        "bound": "0.0001",
        "rule": "at least 0.0001"
      },
      {
        "column": "kind",
        "kind": "one_of",
        "values": [
          "disbursement",
          "write-off",
          "recovery",
          "reversal",
          "classification"
        ],
        "rule": "one of disbursement, write-off, recovery, reversal, classification"
      },
      {
        "column": "state",
        "kind": "one_of",
        "values": [
          "waiting",
          "confirmed",
          "rejected",
          "withdrawn"
        ],
        "rule": "one of waiting, confirmed, rejected, withdrawn"
      }
    ]
  },
  "credit_loan_transaction": {
    "keys": [
      "id"
    ],
    "required": [
      "loan_id",
      "kind",
      "amount",
      "currency",
      "recorded_by",
      "recorded_at",
      "migrated"
    ],
    "checks": [
      {
        "column": "amount",
        "kind": "min",
        "bound": "0.0001",
        "rule": "at least 0.0001"
      },
      {
        "column": "kind",
        "kind": "one_of",
        "values": [
          "disbursement",
          "payment",
          "write-off",
          "recovery",
          "reversal"
        ],
        "rule": "one of disbursement, payment, write-off, recovery, reversal"
      }
    ]
  },
  "credit_loan_classification": {
    "keys": [
      "id"
    ],
    "required": [
      "loan_id",
      "classification",
      "recorded_at",
      "migrated"
    ],
    "checks": [
      {
        "column": "classification",
        "kind": "one_of",
        "values": [
          "default",
          "restructured",
          "written-off"
        ],
        "rule": "one of default, restructured, written-off"
      }
    ]
  }
}) }}
{%- endmacro %}
