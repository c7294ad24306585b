{# Of each group of rows the column sums to 1, as far as ten decimals can tell. #}
{% test sums_to_one(model, column_name, groups) %}
select {{ groups | join(', ') }}, sum({{ column_name }}) as total
from {{ model }}
group by {{ groups | join(', ') }}
having abs(sum({{ column_name }}) - 1) > 0.000001
{% endtest %}
