{# The key of a version of a dimension's member: of its hash key and the position of the change that began it. #}
{% macro version_key(entity, alias, prefix='') -%}
    {{ hash_of([alias ~ '.' ~ entity ~ '_hk', alias ~ '.' ~ prefix ~ 'position_major', alias ~ '.' ~ prefix ~ 'position_minor']) }}
{%- endmacro %}

{# Days past due as a bucket of the roll rates. Days that are not known are in none: a test of the column says so. #}
{% macro dpd_bucket(days) -%}
    case
        when {{ days }} <= 0 then '0'
        when {{ days }} <= 30 then '1-30'
        when {{ days }} <= 60 then '31-60'
        when {{ days }} <= 90 then '61-90'
        when {{ days }} > 90 then '>90'
    end
{%- endmacro %}
