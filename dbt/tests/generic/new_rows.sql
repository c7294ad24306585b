{% test unique_in_new_rows(model, columns) %}
{{- config(meta={'looks_at': 'new_rows'}) -}}
select {% for column in columns %}t.{{ column }}, {% endfor %}count(*) as times
from {{ model }} as t
where exists (
    select 1 from {{ model }} as n
    where {{ untested_rows(model.identifier, 'n') }}
    {%- for column in columns %} and n.{{ column }} = t.{{ column }}{% endfor %}
)
group by {% for column in columns %}t.{{ column }}{{ ", " if not loop.last }}{% endfor %}
having count(*) > 1
{% endtest %}

{# only: a condition on `n`, which row must have a value. #}
{% test filled_in_new_rows(model, column_name, only='1 = 1') %}
{{- config(meta={'looks_at': 'new_rows'}) -}}
select n.{{ column_name }} from {{ model }} as n where n.{{ column_name }} is null and {{ only }} and {{ untested_rows(model.identifier, 'n') }}
{% endtest %}

{% test refers_in_new_rows(model, column_name, to, field) %}
{{- config(meta={'looks_at': 'new_rows'}) -}}
select n.{{ column_name }}
from {{ model }} as n
where {{ untested_rows(model.identifier, 'n') }}
and not exists (select 1 from {{ to }} as t where t.{{ field }} = n.{{ column_name }})
{% endtest %}

{#
    A row refers to one of `to`, if the vault knows what it refers to. What it knows no row of is set aside, or has not come yet:
    the facts that only name it keep it, and ap.missing_rows counts it. What it knows must be there: a model has lost it otherwise.
    known: the satellite, with a column of the same name as `field`.
#}
{% test refers_if_known(model, column_name, to, field, known) %}
select m.{{ column_name }}
from {{ model }} as m
where not exists (select 1 from {{ to }} as t where t.{{ field }} = m.{{ column_name }})
and exists (select 1 from {{ known }} as k where k.{{ field }} = m.{{ column_name }} and k.operation <> 'g')
{% endtest %}

{% test unique_together(model, columns) %}
select {{ columns | join(', ') }}, count(*) as times
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
