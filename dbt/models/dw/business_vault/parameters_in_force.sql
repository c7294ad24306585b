{{ config(materialized='view') }}

with
sat_product_parameters as {{ rows_of(ref('sat_product_parameters')) }},
link_product_parameters as {{ rows_of(ref('link_product_parameters')) }},

stated as (
    select
        l.product_hk, l.valid_from, s.product_parameters_hk, s.position_major, s.position_minor,
        s.interest_rate, s.probability_of_default, s.loss_given_default, s.credit_conversion_factor
    from ({{ current_of('sat_product_parameters', 'product_parameters') }}) as s
    inner join link_product_parameters as l on l.link_hk = s.link_hk
),

final as (
    select
        s.*,
        coalesce(lead(s.valid_from) over (partition by s.product_hk order by s.valid_from), cast('9999-12-31' as date)) as valid_to
    from stated as s
)

select * from final
