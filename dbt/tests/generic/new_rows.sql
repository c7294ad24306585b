{% test unique_in_new_rows(model, columns) %}
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

{% test filled_in_new_rows(model, column_name) %}
select n.{{ column_name }} from {{ model }} as n where n.{{ column_name }} is null and {{ untested_rows(model.identifier, 'n') }}
{% endtest %}

{% test refers_in_new_rows(model, column_name, to, field) %}
select n.{{ column_name }}
from {{ model }} as n
where {{ untested_rows(model.identifier, 'n') }}
and not exists (select 1 from {{ to }} as t where t.{{ field }} = n.{{ column_name }})
{% endtest %}

{% test unique_together(model, columns) %}
select {{ columns | join(', ') }}, count(*) as times
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
