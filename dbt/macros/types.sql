{# Types that the engines name differently. Identifiers are lower-case text: T-SQL writes and orders UUIDs its own way. #}
{% macro timestamp_type() -%}{{ return(adapter.dispatch('timestamp_type')()) }}{%- endmacro %}
{% macro default__timestamp_type() -%}timestamp{%- endmacro %}
{% macro sqlserver__timestamp_type() -%}datetime2(6){%- endmacro %}

{# Text for people, of at most `size` characters; without a size of any length. #}
{% macro text_type(size=none) -%}{{ return(adapter.dispatch('text_type')(size)) }}{%- endmacro %}
{% macro default__text_type(size) -%}{{ 'text' if size is none else 'varchar(' ~ size ~ ')' }}{%- endmacro %}
{% macro sqlserver__text_type(size) -%}nvarchar({{ 'max' if size is none else size }}){%- endmacro %}

{#
    A ratio with ten decimals, NULL where there is nothing to divide by. Divided as floats, which have fifteen digits whatever the
    sizes of both: T-SQL's quotient of two numeric(38, 4) has six decimals.
#}
{% macro ratio(numerator, denominator) -%}
    cast(case when {{ denominator }} <> 0 then cast({{ numerator }} as float) / cast({{ denominator }} as float) end as numeric(38, 10))
{%- endmacro %}

{#
    An amount times a factor that is no money, such as a share or a probability: as numeric(38, 10), on every engine the same.

    T-SQL gives a product of decimals 38 digits at most and takes what is too much off its scale: a numeric(38, 4) times a
    numeric(9, 6) has six decimals. So the amount goes in as numeric(28, 4), which a group of a thousand million of the largest loans fits,
    and the factor with a digit or three before its point.
#}
{% macro weighted(amount, factor) -%}
    cast(cast({{ amount }} as numeric(28, 4)) * {{ factor }} as numeric(38, 10))
{%- endmacro %}

{# LEAST and GREATEST of two values that are not NULL; SQL Server has them since 2022 only. #}
{% macro smaller(a, b) -%}case when {{ a }} < {{ b }} then {{ a }} else {{ b }} end{%- endmacro %}
{% macro larger(a, b) -%}case when {{ a }} > {{ b }} then {{ a }} else {{ b }} end{%- endmacro %}

{% macro natural_logarithm(x) -%}{{ return(adapter.dispatch('natural_logarithm')(x)) }}{%- endmacro %}
{% macro default__natural_logarithm(x) -%}ln({{ x }}){%- endmacro %}
{% macro sqlserver__natural_logarithm(x) -%}log({{ x }}){%- endmacro %}
